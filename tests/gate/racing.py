"""Two who ask at once for the last of a budget, on one database: round after round, and nobody waits by the clock.

Both have read the same ledger before either writes. Each has an :class:`Admission` and a store of its own, as two gates
have; what they know besides the ledger is one snapshot, taken from a whole house. A run is over as soon as it stands,
so that nothing tells the two of each other but the ledger.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import Refused
from sandbox.gate.database.store import Store
from sandbox.gate.database.tables import budget as rows
from sandbox.gate.database.tables import ledger, runs
from sandbox.gate.deciding.admission import Admission
from sandbox.gate.deciding.knowledge import Snapshot
from sandbox.gate.gate import Gate
from sandbox.gate.ledger import budget
from sandbox.gate.runs import chronicle
from sandbox.policy import epsilon
from sandbox.runs import Privacy, Request
from tests.gate.world import DATASET, ENGINEER, request

T = TypeVar("T")
#: One such run fits under the agreement's cap of 8, and two do not.
LAST = Privacy("speaker", 6.0, 1e-5, 1.0, 1.0)
CAP = 8.0
WAIT_S = 60.0


class Meeting(Protocol):
    """A barrier of threads or of processes."""

    def wait(self, timeout: float | None = None) -> int: ...


class Watched(Store):
    """After each of its commits the balance is looked at; ``most`` is the highest that anybody ever had.

    What a commit admits is over with it, and its budget stays taken: nobody ever finds a live run.
    """

    most = 0.0

    def transact(self, work: Callable[[Connection], T]) -> T:
        done = super().transact(lambda connection: over(connection, work(connection)))
        for history in self.read(lambda c: budget.ledger(c, DATASET)).standing.values():
            self.most = max(self.most, epsilon.spent(history, LAST.delta))
        return done


@dataclass
class Known:
    """Stands for ``sandbox.gate.deciding.knowledge.Knowledge``: ledger and live runs are read, the rest is known."""

    store: Store
    snapshot: Snapshot
    meeting: Meeting
    met: bool = False

    def gather(self, asked: Request, person: str) -> Snapshot:
        found, live = self.store.read(lambda c: (budget.ledger(c, DATASET), len(chronicle.live(c))))
        facts, privacy = self.snapshot.facts, self.snapshot.privacy
        assert privacy is not None
        if not self.met:
            self.met = True
            self.meeting.wait(WAIT_S)  # the other has read the same ledger, and neither has written
        spending = budget.spending(found, DATASET, sorted(facts.manifest.subjects), privacy, LAST.delta)
        machine = replace(facts.machine, live_runs=live, live_runs_max=10)
        facts = replace(facts, machine=machine, spending=spending)
        return replace(self.snapshot, facts=facts, ledger=found.version)


@dataclass(frozen=True)
class Racer:
    """What one of the two needs; goes to another process as it is."""

    url: str
    snapshot: Snapshot
    image_id: str
    cleans: bool


def racers(gate: Gate, url: str) -> tuple[Racer, Racer]:
    snapshot = gate.admission._knowledge.gather(request(privacy=LAST), ENGINEER)
    image = gate.house.settings().image_id
    return Racer(url, snapshot, image, True), Racer(url, snapshot, image, False)


def race(racer: Racer, meeting: Meeting, rounds: int) -> tuple[list[str], float]:
    """``won`` or the codes of the refusal, for each round; and the highest balance after any of its own commits."""
    store, found = Watched(racer.url), list[str]()
    moment = racer.snapshot.facts.now
    try:
        for _ in range(rounds):
            known: Any = Known(store, racer.snapshot, meeting)
            admission = Admission(store, known, lambda: racer.image_id, lambda: moment)
            try:
                admission.ask(request(privacy=LAST), ENGINEER)
                found.append("won")
            except Refused as fault:
                found.append(" ".join(sorted({reason.code for reason in fault.reasons}) or [fault.code]))
            meeting.wait(WAIT_S)
            if racer.cleans:
                store.transact(forget)
            meeting.wait(WAIT_S)
        return found, store.most
    except BaseException:
        meeting.abort()  # type: ignore[attr-defined]
        raise
    finally:
        store.close()


def over(connection: Connection, done: T) -> T:
    """Ends every live run in the transaction that admitted it, or the number of live runs would stop the second."""
    connection.execute(runs.update().where(runs.c.state != "settled").values(state="settled"))
    return done


def forget(connection: Connection) -> None:
    """The next round begins with the whole budget."""
    for table in (ledger, rows):
        connection.execute(sa.delete(table))


def in_two_processes(both: tuple[Racer, Racer], rounds: int) -> list[tuple[list[str], float]]:
    context = multiprocessing.get_context("spawn")
    meeting = context.Barrier(2)
    with context.Pool(2, initializer=_meet, initargs=(meeting,)) as pool:
        waiting = [pool.apply_async(_race, (racer, rounds)) for racer in both]
        return [one.get(600) for one in waiting]


_MEETING: list[Any] = []


def _meet(meeting: Any) -> None:
    _MEETING[:] = [meeting]


def _race(racer: Racer, rounds: int) -> tuple[list[str], float]:
    return race(racer, _MEETING[0], rounds)
