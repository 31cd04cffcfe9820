"""Statements of the gate: signed by Vault, stored as exact bytes, listed in the database, named in the log.

An id names one statement for ever (``grant g-…``, ``run r-…``): whoever signs it again gets the bytes that stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import EvidenceMismatch
from sandbox.gate.database.tables import statements
from sandbox.gate.files import write_whole
from sandbox.gate.house import House
from sandbox.gate.ledger import log
from sandbox.runs import Grant, utc
from sandbox.statements import canonical_json, open_statement, sha256, sign_statement


@dataclass(frozen=True)
class Signed:
    """A statement's envelope and its digest."""

    data: bytes
    digest: str


def sign(
    house: House,
    run: str | None,
    name: str,
    statement: str,
    subjects: Iterable[tuple[str, str]],
    predicate: Mapping[str, Any],
) -> Signed:
    """Sign and keep ``<name>-<statement>.dsse.json``; the one that stands, if there is one.

    Raises:
        Unreachable: Vault does not sign.
        EvidenceMismatch: another statement stands under this id.
    """
    subjects = list(subjects)
    path = house.places.statements / f"{name}-{statement}.dsse.json"
    if path.exists():
        data = path.read_bytes()
        stands = open_statement(data, name, house.trust("gate"))
        if canonical_json(stands.predicate) != canonical_json(predicate) or list(stands.subjects) != subjects:
            raise EvidenceMismatch(
                f"another {name} statement stands under {statement}", code="statement.differs"
            )
    else:
        data = sign_statement(name, subjects, predicate, [house.vault.signer()])
        write_whole(path, data, 0o644)
    found = Signed(data, sha256(data))
    _list(house, run, name, statement, found.digest)
    return found


def read(house: House, name: str, statement: str) -> bytes:
    """The exact bytes that stand under this id; empty when there are none."""
    path = house.places.statements / f"{name}-{statement}.dsse.json"
    return path.read_bytes() if path.exists() else b""


def digest_of(plan: Grant) -> str:
    """sha256 of a grant's predicate: what its statement is about."""
    return sha256(canonical_json(plan.to_predicate()))


def _list(house: House, run: str | None, name: str, statement: str, digest: str) -> None:
    now = house.clock()

    def keep(connection: Connection) -> None:
        known = sa.select(statements.c.digest).where(statements.c.digest == digest)
        if connection.execute(known).first() is None:
            values = {"digest": digest, "name": name, "id": statement, "run": run, "at": utc(now)}
            connection.execute(statements.insert().values(**values))
            log.append(connection, "statement", now, "gate", statement=statement, name=name, digest=digest)

    house.store.transact(keep)
