"""The high-water mark in Vault: how long the gate's log is, and its root. An older database is noticed, and refused.

A database restored from a copy would have forgotten budgets that were spent; the mark has not (GATE.md, "Budget").
"""

from __future__ import annotations

import json

from sandbox import audit
from sandbox.errors import EvidenceMismatch
from sandbox.gate import log
from sandbox.gate.house import House

NAME = "gate"


def raise_mark(house: House) -> None:
    """Move the mark to the present log. Raises as :func:`check_mark`, or Conflict when another gate was first."""
    leaves = house.store.read(log.leaves)
    kept = house.vault.read_budget(NAME)
    _compare(kept.value, leaves)
    if int(kept.value.get("size", 0)) < len(leaves):
        value = {"size": len(leaves), "root": audit.root(leaves).hex()}
        house.vault.write_budget(NAME, value, kept.cas)


def check_mark(house: House) -> None:
    """Raises EvidenceMismatch when the database is older than the mark, or another one."""
    _compare(house.vault.read_budget(NAME).value, house.store.read(log.leaves))


def accept_restored(house: House) -> None:
    """A restore that was meant: the note of it lets an older database in, once. The log keeps what was let go.

    The note is written by `sandbox backup restore` alone; a database put back behind its back is refused.
    """
    note = house.places.private / "restored.json"
    try:
        said = json.loads(note.read_bytes())
    except FileNotFoundError:
        return
    kept, now = house.vault.read_budget(NAME), house.clock()
    let_go = {"size": int(str(kept.value.get("size", 0))), "root": str(kept.value.get("root", ""))}
    told = {"backup": str(said["backup"]), "expired": bool(said["expired"]), "mark": let_go}
    house.store.transact(lambda connection: log.append(connection, "restored", now, "operator", **told))
    leaves = house.store.read(log.leaves)
    house.vault.write_budget(NAME, {"size": len(leaves), "root": audit.root(leaves).hex()}, kept.cas)
    note.unlink()


def _compare(value: dict[str, object], leaves: list[bytes]) -> None:
    size = int(str(value.get("size", 0)))
    if size > len(leaves) or (size and audit.root(leaves[:size]).hex() != value.get("root")):
        raise EvidenceMismatch(
            f"the gate's database is not the one that logged {size} entries",
            code="ledger.rolled_back",
            mend="restore the newest database; nothing is admitted until then",
        )
