"""The two databases that a gate may stand on, opened so that they keep one promise: one writer at a time, in turn.

SQLite runs in WAL mode and takes its write lock at the start (``BEGIN IMMEDIATE``), so two writers never deadlock.
PostgreSQL runs SERIALIZABLE. Its writers queue at ``LOCK TABLE log IN EXCLUSIVE MODE``, which takes no snapshot and so
must come first (PostgreSQL manual, LOCK, Notes): whoever gets its turn sees what the one before wrote, instead of being
sent back. Readers wait for nobody on either.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url

from sandbox.errors import Usage

BUSY_MS = 10_000
IDLE_MS = 60_000
_DRIVERS = ("sqlite", "postgresql+psycopg")
_MEND = "peer authentication over a Unix socket, or ?passfile=FILE (mode 0600)"


def checked(url: str) -> URL:
    """Raises Usage: not one of the two databases, or a password in the address."""
    try:
        found = make_url(url)
    except sa.exc.ArgumentError:
        raise Usage("the address of the gate's database cannot be read", code="store.url") from None
    if found.drivername not in _DRIVERS:
        raise Usage(
            "the gate's database is sqlite or postgresql+psycopg",
            code="store.url",
            mend="postgresql+psycopg:///gate?host=/var/run/postgresql",
        )
    if found.password is not None or "password" in found.query:
        raise Usage("a password stands in the address of the gate's database", code="store.url", mend=_MEND)
    return found


def open_engine(url: str) -> Engine:
    """Connects to nothing yet. Raises Usage as :func:`checked`."""
    found = checked(url)
    return _sqlite(found) if found.drivername == "sqlite" else _postgresql(found)


def _sqlite(url: URL) -> Engine:
    engine = sa.create_engine(url, connect_args={"check_same_thread": False, "timeout": BUSY_MS / 1000})

    @sa.event.listens_for(engine, "connect")
    def _connected(raw: Any, _: object) -> None:
        raw.isolation_level = None  # the driver's own BEGIN comes too late; ours stands below
        cursor = raw.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if _mode(connection) == "writing" else "BEGIN")

    return engine


def _postgresql(url: URL) -> Engine:
    timeouts = f"-c lock_timeout={BUSY_MS} -c idle_in_transaction_session_timeout={IDLE_MS} -c timezone=UTC"
    engine = sa.create_engine(
        url,
        isolation_level="SERIALIZABLE",
        pool_pre_ping=True,
        connect_args={"options": timeouts, "connect_timeout": 10},
    )

    @sa.event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        match _mode(connection):
            case "writing":
                connection.exec_driver_sql("LOCK TABLE log IN EXCLUSIVE MODE")
            case "reading":
                connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            case "migrating":  # two gates that start at once; READ COMMITTED sees what the first one made
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7310034417)")

    return engine


def _mode(connection: Connection) -> str:
    mode = str(connection.get_execution_options().get("mode", ""))
    return "writing" if mode == "migrating" and connection.dialect.name == "sqlite" else mode
