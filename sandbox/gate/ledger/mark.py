"""The high-water mark in Vault: how long the gate's log is, and its root. An older database is noticed, and refused.

A database restored from a copy would have forgotten budgets that were spent; the mark has not (GATE.md, "Budget"). The
log's mark follows when a run settles; each dataset's ledger has one of its own, which a run cannot start without
(:mod:`sandbox.gate.ledger.high_water`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox import audit
from sandbox.errors import EvidenceMismatch
from sandbox.gate.house import House
from sandbox.gate.ledger import acts, high_water, log, signed_mark

NAME = "_log"  # no dataset's: their ids begin with a letter


def raise_mark(house: House) -> None:
    """Move the mark to the present log. Raises as :func:`check_mark`, or Conflict when another gate was first."""
    kept = signed_mark.read(house, NAME)
    leaves = house.store.read(log.leaves)  # after the mark was read: what it tells of was committed before
    _compare(kept.said, leaves)
    if int(kept.said.get("size", 0)) < len(leaves):
        signed_mark.write(house, NAME, _said(leaves), kept.cas)


def check_mark(house: House) -> None:
    """Raises EvidenceMismatch when the database is older than a mark, or another one, or a mark is not ours."""
    check_log(house)
    high_water.check(house)


def check_log(house: House) -> None:
    """The log alone; raises as :func:`check_mark`."""
    kept = signed_mark.read(house, NAME)
    _compare(kept.said, house.store.read(log.leaves))


def accept_restored(house: House) -> None:
    """A restore that was meant: the note of it lets an older database in, once. The log keeps what was let go.

    The note is written by `sandbox backup restore` alone; a database put back behind its back is refused.
    """
    note = house.places.private / "restored.json"
    try:
        said = json.loads(note.read_bytes())
    except FileNotFoundError:
        return
    kept, now = signed_mark.read(house, NAME), house.clock()
    names = sorted({*house.store.read(acts.datasets), *(name for name, _ in house.registers.read().datasets)})
    marks = {name: int(signed_mark.read(house, name).said.get("acts", 0)) for name in names}
    let_go = {"size": int(kept.said.get("size", 0)), "root": str(kept.said.get("root", ""))}
    told = {"backup": str(said["backup"]), "expired": bool(said["expired"]), "mark": let_go, "ledgers": marks}
    house.store.transact(lambda connection: log.append(connection, "restored", now, "operator", **told))
    high_water.accept(house, names)
    signed_mark.write(house, NAME, _said(house.store.read(log.leaves)), kept.cas)
    note.unlink()


def _said(leaves: list[bytes]) -> dict[str, Any]:
    return {"size": len(leaves), "root": audit.root(leaves).hex()}


def _compare(said: Mapping[str, Any], leaves: list[bytes]) -> None:
    size = int(said.get("size", 0))
    if size > len(leaves) or (size and audit.root(leaves[:size]).hex() != said.get("root")):
        raise EvidenceMismatch(
            f"the gate's database is not the one that logged {size} entries",
            code="ledger.rolled_back",
            mend="restore the newest database; nothing is admitted until then",
        )
