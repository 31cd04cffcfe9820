"""What happened to a run, written once: row, event for whoever watches, and log entry in the same transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from sandbox.errors import NotFound, RunFailed
from sandbox.gate.database.tables import credentials, events, runs
from sandbox.gate.ledger import log
from sandbox.gate.runs import leases
from sandbox.gate.runs.leases import Lease
from sandbox.gate.runs.states import FINAL, require_step
from sandbox.runs import Grant, RunState, utc

BY_GATE = "gate"
#: The kind of event that a run's order is about to be given: its keeper may have opened its wraps.
ORDER = "order"
#: Built once: every decision asks it twice.
_LIVE = (
    sa.select(runs.c.id)
    .where(runs.c.state.not_in([state.value for state in FINAL]))
    .order_by(runs.c.asked_at, runs.c.id)
)


class Killed(RunFailed):
    """Somebody asked for the run's end; every step checks it first."""

    code = "run.killed"


def find(connection: Connection, run: str) -> Row[Any]:
    """The run's row. Raises NotFound."""
    row = connection.execute(sa.select(runs).where(runs.c.id == run)).first()
    if row is None:
        raise NotFound(f"there is no run {run}")
    return row


def granted(row: Row[Any]) -> Grant:
    """The grant that was decided for this run."""
    return Grant.from_predicate(row.plan)


def ordered(connection: Connection, run: str) -> bool:
    """Whether the run's order was given, or may have been."""
    asked = sa.select(events.c.id).where(events.c.run == run, events.c.kind == ORDER).limit(1)
    return connection.execute(asked).first() is not None


def live(connection: Connection) -> Sequence[str]:
    """Ids of every run that is not final, oldest first."""
    return list(connection.execute(_LIVE).scalars())


def advance(
    connection: Connection,
    lease: Lease,
    after: RunState,
    now: datetime,
    *,
    tell: Mapping[str, Any] | None = None,
    **columns: Any,
) -> int:
    """Move the run one state on, unless somebody else supervises it or wants it dead; the log entry's index.

    ``tell`` is what watchers learn besides the state.

    Raises:
        LeaseLost: another supervisor owns the run.
        Killed: a kill stands; only ENDED and SETTLED can follow.
        Conflict: the state cannot follow.
    """
    leases.require(connection, lease)
    row = find(connection, lease.run)
    if row.kill is not None and after not in (RunState.ENDED, RunState.SETTLED):
        raise Killed(f"run {lease.run} was killed")
    before = RunState(row.state)
    require_step(before, after)
    connection.execute(
        runs.update().where(runs.c.id == lease.run).values(state=after.value, changed_at=utc(now), **columns)
    )
    said = {key: columns[key] for key in ("outcome", "failure", "exit") if columns.get(key)}
    index = log.append(connection, "state", now, BY_GATE, run=lease.run, state=after.value, **said)
    happened(connection, lease.run, "state", now, {"state": after.value, "log_entry": index, **(tell or {})})
    return index


def happened(connection: Connection, run: str, kind: str, now: datetime, data: Mapping[str, Any]) -> None:
    """Tell whoever watches the run."""
    connection.execute(events.insert().values(run=run, kind=kind, data=dict(data), at=utc(now)))


def told(connection: Connection, run: str, now: datetime, what: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """As :func:`happened`, of much at once, in its order: (kind, data) each."""
    if what:
        rows = [{"run": run, "kind": kind, "data": dict(data), "at": utc(now)} for kind, data in what]
        connection.execute(events.insert(), rows)


def since(connection: Connection, run: str, after: int, limit: int = 500) -> list[Row[Any]]:
    """Events of a run behind ``after``, in order."""
    asked = sa.select(events).where(events.c.run == run, events.c.id > after)
    return list(connection.execute(asked.order_by(events.c.id).limit(limit)))


def ask_kill(connection: Connection, run: str, by: str, reason: str, now: datetime) -> bool:
    """Set the kill; whether it is new. A run that has ended is not killed any more. Raises NotFound."""
    row = find(connection, run)
    if row.kill is not None or RunState(row.state) in {*FINAL, RunState.ENDED}:
        return False
    connection.execute(runs.update().where(runs.c.id == run).values(kill=reason, killed_by=by))
    log.append(connection, "kill", now, by, run=run)
    happened(connection, run, "kill", now, {"by": by})
    return True


def accessors(
    connection: Connection, run: str, *, alive_only: bool = False, unhashed_only: bool = False
) -> list[str]:
    """Accessors of every credential that the run ever had; of those not proved dead, or not yet known by their HMAC."""
    asked = sa.select(credentials.c.accessor).where(credentials.c.run == run)
    if alive_only:
        asked = asked.where(credentials.c.dead_at.is_(None))
    if unhashed_only:
        asked = asked.where(credentials.c.audit_hash == "")
    return list(connection.execute(asked).scalars())


def proved_dead(connection: Connection, found: Sequence[str], now: datetime) -> None:
    """Note the proof of each accessor's death."""
    connection.execute(
        credentials.update()
        .where(credentials.c.accessor.in_(found), credentials.c.dead_at.is_(None))
        .values(dead_at=utc(now))
    )


def hashed(connection: Connection, accessor: str, audit_hash: str) -> None:
    """Note a credential as Vault's audit file shows it."""
    chosen = credentials.update().where(credentials.c.accessor == accessor)
    connection.execute(chosen.values(audit_hash=audit_hash))
