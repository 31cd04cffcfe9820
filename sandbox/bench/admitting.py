"""A gate's own admission on a database of the bench's, for facts that a real gate had: what deciding alone costs.

Of a decision everything happens but Vault and HTTP: the ledger and the live runs are read, the facts are decided upon,
and decision and log entry are committed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from json import loads
from pathlib import Path
from typing import Any

from sandbox.bench.figures import Unmeasured
from sandbox.errors import Refused
from sandbox.gate.database.store import Store
from sandbox.gate.deciding.admission import Admission
from sandbox.gate.deciding.knowledge import Snapshot
from sandbox.gate.ledger import budget
from sandbox.gate.runs import chronicle
from sandbox.policy.facts import Facts
from sandbox.runs import Request


@contextmanager
def deciders(url: str, source: Path, lanes: int) -> Iterator[list[Callable[[], None]]]:
    """A function that decides, for each lane; they share a gate's one store."""
    request, facts = newest(source)
    store = Store(url)
    try:
        known: Any = Known(store, facts)
        admission = Admission(store, known, lambda: "" if facts.image is None else facts.image.id, _now)
        yield [lambda: _decide(admission, request, facts.name)] * lanes
    finally:
        store.close()


class Known:
    """Stands for ``sandbox.gate.deciding.knowledge.Knowledge``: only what the database says is not known before."""

    def __init__(self, store: Store, facts: Facts) -> None:
        self._store, self._facts = store, facts

    def gather(self, _request: Request, _person: str) -> Snapshot:
        found, live = self._store.read(lambda c: (budget.ledger(c), len(chronicle.live(c))))
        machine = replace(self._facts.machine, live_runs=live)
        facts: Any = replace(self._facts, now=_now(), machine=machine)
        nothing: Any = None
        return Snapshot(facts, nothing, nothing, None, found.version)


def newest(source: Path) -> tuple[Request, Facts]:
    """Request and facts of the newest decision that a gate on SQLite holds. Raises Unmeasured when it holds none."""
    asked = "SELECT request, facts FROM decisions WHERE permitted ORDER BY entry DESC LIMIT 1"
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as database:
        row = database.execute(asked).fetchone()
    if row is None:
        raise Unmeasured(f"{source} holds no decision")
    return Request.from_json(loads(row[0])), Facts.from_json(loads(row[1]))


def _decide(admission: Admission, request: Request, person: str) -> None:
    try:
        admission.ask(request, person, only_decide=True)
    except Refused:  # as good a decision as the other
        return


def _now() -> datetime:
    return datetime.now(UTC)
