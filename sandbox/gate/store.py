"""The database: one transaction at a time writes, readers never wait for it, and nothing else happens inside.

SQLite runs in WAL mode and takes its write lock at the start (``BEGIN IMMEDIATE``), so two writers never deadlock.
PostgreSQL runs SERIALIZABLE; a transaction that lost is tried again from its start, which is why work is a function.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection, Engine

from sandbox.errors import Unreachable

T = TypeVar("T")
ATTEMPTS = 8
BUSY_MS = 10_000
_SERIALIZATION = ("40001", "40P01")


class Store:
    """Opens the database at ``url`` and brings its tables to the present version."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self._changed = threading.Condition()
        self._changes = 0
        _migrate(self.engine)

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one writing transaction; it may run again, so it has no effect but the database's.

        Raises Unreachable when the database stays locked or is gone.
        """
        for attempt in range(ATTEMPTS):
            try:
                with self._writing() as connection, connection.begin():
                    done = work(connection)
                self._ring()
                return done
            except sa.exc.OperationalError as fault:
                if _lost_a_race(fault) and attempt < ATTEMPTS - 1:
                    continue
                raise Unreachable("the gate's database does not answer", code="store.unreachable") from None
        raise Unreachable("the gate's database is too busy", code="store.busy")

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` on one consistent snapshot."""
        with self.engine.connect() as connection, connection.begin():
            return work(connection)

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

    def _ring(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def _writing(self) -> Connection:
        return self.engine.connect().execution_options(writing=True)


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return sa.create_engine(url, isolation_level="SERIALIZABLE", pool_pre_ping=True)
    engine = sa.create_engine(url, connect_args={"check_same_thread": False, "timeout": BUSY_MS / 1000})

    @sa.event.listens_for(engine, "connect")
    def _connected(raw: Any, _: object) -> None:
        raw.isolation_level = None  # the driver's own BEGIN comes too late; ours stands below
        cursor = raw.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        writing = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _lost_a_race(fault: sa.exc.OperationalError) -> bool:
    return getattr(fault.orig, "sqlstate", getattr(fault.orig, "pgcode", None)) in _SERIALIZATION


def _migrate(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", "sandbox.gate:migrations")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with engine.connect().execution_options(writing=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
