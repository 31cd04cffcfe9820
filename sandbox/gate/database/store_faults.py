"""What a database's fault means for whoever asked: one code each, and what mends it. In none was anything written.

SQLite's primary result codes: https://www.sqlite.org/rescode.html. PostgreSQL's SQLSTATE: appendix A of its manual.
"""

from __future__ import annotations

import sqlalchemy as sa

from sandbox.errors import SandboxError, Unreachable

_SQLITE = {5: "locked", 6: "locked", 13: "full", 11: "corrupted", 26: "corrupted"}
_LOST_A_RACE = ("40001", "40P01")
_SQLSTATE = {"55P03": "locked", "53100": "full", "XX001": "corrupted", "XX002": "corrupted"}
#: What a program does wrong; it stays what it is.
_OURS = (sa.exc.IntegrityError, sa.exc.ProgrammingError, sa.exc.DataError, sa.exc.NotSupportedError)

_SAID = {
    "locked": (
        "another program holds the gate's database",
        "close what has it open (a shell, a copy); nothing was written, ask again",
    ),
    "full": (
        "the disk of the gate's database is full",
        "make room on the volume of the gate's state; nothing was written, and the gate goes on by itself",
    ),
    "corrupted": (
        "the gate's database is damaged, or is no database",
        "sandbox backup restore: nothing is decided on a damaged database",
    ),
    "unreachable": ("the gate's database does not answer", "sandbox doctor"),
}


def lost_a_race(fault: sa.exc.DBAPIError) -> bool:
    """PostgreSQL asks for the transaction to be tried again (serialization failure, deadlock)."""
    return _state(fault) in _LOST_A_RACE


def ours(fault: sa.exc.DBAPIError) -> bool:
    """A statement was wrong, not the database."""
    return isinstance(fault, _OURS)


def translated(fault: sa.exc.DBAPIError) -> SandboxError:
    """``store.locked``, ``store.full``, ``store.corrupted`` or ``store.unreachable``. Never quotes the statement."""
    number = getattr(fault.orig, "sqlite_errorcode", None)
    kind = _SQLSTATE.get(_state(fault), "") if number is None else _SQLITE.get(number & 0xFF, "")
    return told(kind or "unreachable")


def told(kind: str) -> SandboxError:
    message, mend = _SAID[kind]
    return Unreachable(message, code=f"store.{kind}", mend=mend)


def _state(fault: sa.exc.DBAPIError) -> str:
    return str(getattr(fault.orig, "sqlstate", None) or "")
