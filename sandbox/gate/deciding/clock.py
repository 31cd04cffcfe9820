"""What time it is: never earlier than it was. A clock that is set back revives nothing that has ended.

While the gate lives, time goes on by the machine's monotonic clock wherever the wall clock falls behind it (a step
back, a leap second). Over a restart the log remembers the latest moment that it told (``log.high``): a clock that is
more than ``TOLERANCE_S`` behind it admits nothing. Kills, withdrawals and settling go on; they end things.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import Reason
from sandbox.gate.database.tables import log
from sandbox.runs import from_utc, utc

TOLERANCE_S = 5.0  # clocks of several gates on one database differ by less; entries tell whole seconds
CODE = "clock.backwards"
_LATEST = sa.select(log.c.high).order_by(log.c.index.desc()).limit(1)


class Steady:
    """A clock that goes with the wall clock, and on without it when that falls back. Thread-safe."""

    def __init__(
        self,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall, self._monotonic, self._lock = wall, monotonic, Lock()
        self._anchor, self._since = wall(), monotonic()

    def __call__(self) -> datetime:
        with self._lock:
            now, ticks = self._wall(), self._monotonic()
            steady = self._anchor + timedelta(seconds=ticks - self._since)
            if now >= steady:
                self._anchor, self._since = now, ticks
                return now
            return steady


def latest(connection: Connection) -> datetime | None:
    """The latest moment that the log told; None when it told nothing yet."""
    high = connection.execute(_LATEST).scalar()
    return from_utc(high) if high else None


def backwards(connection: Connection, now: datetime) -> list[Reason]:
    """Why nothing may be admitted at ``now``: the log has already told of a later moment."""
    high = latest(connection)
    if high is None or now >= high - timedelta(seconds=TOLERANCE_S):
        return []
    why = f"the clock says {utc(now)}, and the gate has already written at {utc(high)}"
    return [Reason(CODE, "clock", why, "set the machine's clock; what has ended stays ended")]
