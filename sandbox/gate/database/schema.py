"""The database's tables, brought to this version at start; a damaged or newer database stops the gate there."""

from __future__ import annotations

import logging

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy.engine import Connection, Engine

from sandbox.errors import EvidenceMismatch
from sandbox.gate.database import store_faults


def prepare(engine: Engine, revision: str = "head") -> None:
    """Look for damage, then migrate, in one transaction.

    Raises:
        Unreachable: it is damaged or no database (``store.corrupted``), locked, full or does not answer.
        EvidenceMismatch: a later version of this program wrote it (``store.newer``).
    """
    try:
        if engine.dialect.name == "sqlite":
            _sound(engine)
        with engine.connect().execution_options(mode="migrating") as connection, connection.begin():
            _migrate(connection, revision)
    except sa.exc.DBAPIError as fault:
        if store_faults.ours(fault):
            raise
        raise store_faults.translated(fault) from None


def _sound(engine: Engine) -> None:
    """SQLite's own look at every page: 0.3 s for 200 MB, measured. PostgreSQL has its checksums for that."""
    with engine.connect() as connection:
        found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if found != "ok":
        raise store_faults.told("corrupted")


def _migrate(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", "sandbox.gate.database:migrations")
    config.attributes["connection"] = connection
    logging.getLogger("alembic").setLevel(logging.WARNING)
    for stands in MigrationContext.configure(connection).get_current_heads():
        try:
            ScriptDirectory.from_config(config).get_revision(stands)
        except CommandError:
            raise EvidenceMismatch(
                f"a later version of the gate wrote this database (revision {stands})",
                code="store.newer",
                mend="install that version, or restore a backup that this one made",
            ) from None
    command.upgrade(config, revision)
