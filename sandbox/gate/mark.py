"""The high-water mark in Vault: how long the gate's log is, and its root. An older database is noticed, and refused.

A database restored from a copy would have forgotten budgets that were spent; the mark has not (GATE.md, "Budget").
"""

from __future__ import annotations

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


def _compare(value: dict[str, object], leaves: list[bytes]) -> None:
    size = int(str(value.get("size", 0)))
    if size > len(leaves) or (size and audit.root(leaves[:size]).hex() != value.get("root")):
        raise EvidenceMismatch(
            f"the gate's database is not the one that logged {size} entries",
            code="ledger.rolled_back",
            mend="restore the newest database; nothing is admitted until then",
        )
