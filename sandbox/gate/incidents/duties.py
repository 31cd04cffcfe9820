"""What a kill owes until it is proved: written in the kill's own transaction, tried until done, by any gate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.gate.database.tables import credentials, duties, runs
from sandbox.runs import RunState, utc

CONTAINER, CREDENTIAL, LOGIN = "container", "credential", "login"
FREEZE = "freeze"  # the models of the scope: to be found, named and marked
SHOWN, UNSHOWN = "shown", "unshown"  # a model's mark in MLflow: set, and taken away again
#: What must be proved before a scope may go on.
DEADLY = (CONTAINER, CREDENTIAL)


@dataclass(frozen=True)
class Duty:
    """One thing owed: ``what`` is a run, an accessor, a model (``name@version``) or ``gate``."""

    incident: str
    kind: str
    what: str
    run: str | None = None

    def said(self) -> str:
        """In words, without an accessor."""
        match self.kind:
            case "container":
                return f"{self.what}: its container"
            case "credential":
                return f"{self.run}: a credential"
            case "login":
                return "the gate's own login"
            case "freeze":
                return "the models of its scope"
            case "shown":
                return f"{self.what}: frozen in MLflow"
        return f"{self.what}: no longer frozen in MLflow"


def owe(connection: Connection, found: Iterable[Duty]) -> None:
    """Enter what is not there yet."""
    for duty in found:
        if connection.execute(sa.select(duties.c.what).where(*_same(duty))).first() is None:
            values = {"incident": duty.incident, "kind": duty.kind, "what": duty.what, "run": duty.run}
            connection.execute(duties.insert().values(**values, tries=0))


def done(connection: Connection, found: Sequence[Duty], now: datetime) -> None:
    """They are proved."""
    for duty in found:
        changed = duties.update().where(*_same(duty), duties.c.done_at.is_(None))
        connection.execute(changed.values(done_at=utc(now), fault=None))


def tried(connection: Connection, found: Sequence[Duty], code: str) -> None:
    """They could not be done this time, for this reason."""
    for duty in found:
        changed = duties.update().where(*_same(duty), duties.c.done_at.is_(None))
        connection.execute(changed.values(tries=duties.c.tries + 1, fault=code[:64]))


def outstanding(connection: Connection, incident: str = "", kinds: Sequence[str] = ()) -> list[Duty]:
    """What is not proved yet, of one incident or of all."""
    asked = sa.select(duties).where(duties.c.done_at.is_(None))
    if incident:
        asked = asked.where(duties.c.incident == incident)
    if kinds:
        asked = asked.where(duties.c.kind.in_(kinds))
    rows = connection.execute(asked.order_by(duties.c.incident, duties.c.kind, duties.c.what))
    return [Duty(row.incident, row.kind, row.what, row.run) for row in rows]


def runs_of(connection: Connection, incident: str) -> list[str]:
    """The runs that a kill was to end."""
    asked = sa.select(duties.c.what).where(duties.c.incident == incident, duties.c.kind == CONTAINER)
    return list(connection.execute(asked.order_by(duties.c.what)).scalars())


def told(connection: Connection, incident: str) -> list[dict[str, Any]]:
    """What is outstanding, for people: never an accessor."""
    asked = sa.select(duties).where(duties.c.incident == incident, duties.c.done_at.is_(None))
    return [
        {
            "what": Duty(row.incident, row.kind, row.what, row.run).said(),
            "tries": row.tries,
            "fault": row.fault,
        }
        for row in connection.execute(asked.order_by(duties.c.kind, duties.c.what))
    ]


def appeared(connection: Connection) -> list[Duty]:
    """Credentials that became known after the kill of their run: made while it came, remembered by its supervisor."""
    container = duties.alias()
    asked = (
        sa.select(container.c.incident, credentials.c.accessor, credentials.c.run)
        .join(container, sa.and_(container.c.run == credentials.c.run, container.c.kind == CONTAINER))
        .where(credentials.c.dead_at.is_(None))
    )
    known = {(duty.incident, duty.what) for duty in outstanding(connection, kinds=(CREDENTIAL,))}
    found = [Duty(row.incident, CREDENTIAL, row.accessor, row.run) for row in connection.execute(asked)]
    return [duty for duty in found if (duty.incident, duty.what) not in known]


def proved_elsewhere(connection: Connection) -> list[Duty]:
    """What the run's own supervisor proved meanwhile."""
    found = []
    for duty in outstanding(connection, kinds=DEADLY):
        if duty.kind == CREDENTIAL:
            asked = sa.select(credentials.c.dead_at).where(credentials.c.accessor == duty.what)
            if connection.execute(asked).scalar() is not None:
                found.append(duty)
        else:
            state = connection.execute(sa.select(runs.c.state).where(runs.c.id == duty.what)).scalar()
            if state in (RunState.ENDED.value, RunState.SETTLED.value):
                found.append(duty)
    return found


def _same(duty: Duty) -> tuple[Any, ...]:
    return (duties.c.incident == duty.incident, duties.c.kind == duty.kind, duties.c.what == duty.what)
