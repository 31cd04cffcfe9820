"""How far each dataset's ledger had come, in Vault: an older database brings no budget back (GATE.md, "Budget").

When, and what a crash in between leaves:

1. The reservation is committed with the decision. 2. Before anything of the run is made (PREPARED), the mark covers it.
   Killed between the two, the database is ahead of the mark, which is no fault: the next launch or start covers it.
3. Charge and release are covered when the run settles. A mark is never ahead of the database that made it, because
   Vault is asked first and the database afterwards, and only what is committed is marked.

Two gates that mark at once: check-and-set lets one through, and the other looks again.
"""

from __future__ import annotations

from sqlalchemy.engine import Connection

from sandbox.errors import Conflict, EvidenceMismatch
from sandbox.gate.house import House
from sandbox.gate.ledger import acts, signed_mark
from sandbox.gate.ledger.acts import Head
from sandbox.records import check_id

ATTEMPTS = 10


def cover(house: House, dataset: str) -> None:
    """Let the mark hold every act that is committed now. Costs Vault a read, and a signature and a write if it moves.

    Raises:
        EvidenceMismatch: the database is older than the mark, or another one; or the mark is not ours.
        Unreachable: Vault does not answer; then nothing of the run may be made.
    """
    for _ in range(ATTEMPTS):
        kept = signed_mark.read(house, check_id("dataset", dataset))
        said = _head(kept.said)
        head = house.store.read(lambda c, said=said: _compared(c, dataset, said))  # type: ignore[misc]
        if head == said:
            return
        try:
            signed_mark.write(house, dataset, {"acts": head.acts, "chain": head.chain}, kept.cas)
            return
        except Conflict:
            continue
    raise Conflict(f"others moved the mark of {dataset} {ATTEMPTS} times", code="ledger.mark_busy")


def check(house: House) -> None:
    """Every row against its act, and every dataset's acts against its mark. Raises as :func:`cover`."""
    for fault in house.store.read(acts.altered):
        raise EvidenceMismatch(fault, code="ledger.altered", mend="restore the newest database")
    check_marks(house)


def check_marks(house: House) -> None:
    """The acts against the marks alone; raises as :func:`cover`."""
    for dataset in house.store.read(acts.datasets):
        said = _head(signed_mark.read(house, dataset).said)
        house.store.read(lambda c, name=dataset, said=said: _compared(c, name, said))  # type: ignore[misc]


def accept(house: House, datasets: list[str]) -> None:
    """A restore that was meant: the marks are set to what is there now."""
    for dataset in datasets:
        kept = signed_mark.read(house, dataset)
        head = house.store.read(lambda c, name=dataset: acts.newest(c, name))  # type: ignore[misc]
        if head != _head(kept.said):
            signed_mark.write(house, dataset, {"acts": head.acts, "chain": head.chain}, kept.cas)


def _compared(connection: Connection, dataset: str, said: Head) -> Head:
    """The ledger's head, once it holds what the mark says."""
    if acts.at(connection, dataset, said.acts) != said:
        raise EvidenceMismatch(
            f"the ledger of {dataset} is not the one that had {said.acts} entries",
            code="ledger.rolled_back",
            mend="restore the newest database; nothing is admitted until then",
        )
    return acts.newest(connection, dataset)


def _head(said: object) -> Head:
    found = dict(said) if isinstance(said, dict) else {}
    return Head(int(found.get("acts", 0)), str(found.get("chain", "")))
