"""Metrics on their way to MLflow: after they are stored here, in batches, and again where MLflow was away.

A point told twice is one point: its time is the time it was stored.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from sandbox.errors import SandboxError
from sandbox.gate.database.tables import events
from sandbox.gate.house import House
from sandbox.runs import from_utc
from sandbox.service import journal
from sandbox.tracking.view import Point

BATCH = 500


class Telling:
    """Tells MLflow one run's metrics; ``flush`` as often as one likes, ``finish`` until it returns."""

    def __init__(self, house: House, run: str, tracking: str) -> None:
        self._house, self._run, self._tracking = house, run, tracking
        self._told = 0

    def flush(self) -> None:
        """Tell what is new; a view that does not answer never stops a run."""
        try:
            self._tell(BATCH)
        except SandboxError as fault:
            journal.trouble("tracking.behind", fault, run=self._run)

    def finish(self) -> int:
        """Tell everything that is left; the number of points told. Raises Unreachable."""
        total = 0
        while count := self._tell(BATCH):
            total += count
        return total

    def _tell(self, limit: int) -> int:
        def fresh(connection: Connection) -> list[Row[Any]]:
            asked = sa.select(events.c.id, events.c.data, events.c.at).where(
                events.c.run == self._run, events.c.kind == "metric", events.c.id > self._told
            )
            return list(connection.execute(asked.order_by(events.c.id).limit(limit)))

        rows = self._house.store.read(fresh)
        if rows:
            points = [
                Point(
                    str(row.data["name"]),
                    float(row.data["value"]),
                    int(row.data["step"]),
                    int(from_utc(row.at).timestamp() * 1000),
                )
                for row in rows
            ]
            self._house.tracking.log_metrics(self._tracking, points)
            self._told = rows[-1].id
        return len(rows)
