"""The database: one transaction at a time writes, readers never wait for it, and nothing else happens inside.

How the two databases keep that promise is :mod:`sandbox.gate.database.engines`. A transaction that PostgreSQL sends
back is tried again from its start, which is why work is a function.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.gate.database import engines, schema, store_faults

T = TypeVar("T")
ATTEMPTS = 8


class Store:
    """Opens the database at ``url`` and brings its tables to the present version. Raises as ``schema.prepare``."""

    def __init__(self, url: str) -> None:
        self.engine = engines.open_engine(url)
        # SQLite's own queue is a sleep that grows; threads of one process take turns here instead
        self._turn = threading.Lock()
        self._changed = threading.Condition()
        self._changes = 0
        try:
            schema.prepare(self.engine)
        except BaseException:
            self.engine.dispose()
            raise

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one writing transaction; it may run again, so it has no effect but the database's.

        Raises Unreachable when the database stays locked, is full, damaged or gone; then nothing was written.
        """
        with self._in_turn():
            done = self._tried(work, "writing")
        self._ring()
        return done

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` on one consistent snapshot. Raises Unreachable as :meth:`transact`."""
        return self._tried(work, "reading")

    @property
    def changes(self) -> int:
        """How often this process has written; for :meth:`await_change`, asked before one reads."""
        with self._changed:
            return self._changes

    def await_change(self, seen: int, timeout_s: float) -> None:
        """Return once this process has written since ``seen``, or after ``timeout_s``: another one may have."""
        with self._changed:
            self._changed.wait_for(lambda: self._changes != seen, timeout_s)

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=engines.BUSY_MS / 1000):
            raise store_faults.told("locked")
        try:
            yield
        finally:
            self._turn.release()

    def _tried(self, work: Callable[[Connection], T], mode: str) -> T:
        attempt = 0
        while True:
            attempt += 1
            try:
                with (
                    self.engine.connect().execution_options(mode=mode) as connection,
                    connection.begin(),
                ):
                    return work(connection)
            except sa.exc.TimeoutError:
                raise store_faults.told("locked") from None
            except sa.exc.DBAPIError as fault:
                if store_faults.lost_a_race(fault) and attempt < ATTEMPTS:
                    continue
                if store_faults.ours(fault):
                    raise
                raise store_faults.translated(fault) from None

    def _ring(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()
