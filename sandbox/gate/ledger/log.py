"""The Merkle log's leaves, kept in the database: an entry is added in the transaction of the act that it tells.

An entry is canonical JSON ``{at, by, kind, ...ids and digests}``. Checkpoints over it are signed outside of any
transaction (RFC 6962; C2SP tlog-checkpoint).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox import audit
from sandbox.gate.database import tables
from sandbox.gate.database.store import Store
from sandbox.runs import utc
from sandbox.statements import Signer, canonical_json

ORIGIN = "voice-sandbox/gate"
#: Built once: everything that the gate does appends.
_LAST = sa.select(tables.log.c.index, tables.log.c.high).order_by(tables.log.c.index.desc()).limit(1)
_ADD = tables.log.insert()


def append(connection: Connection, kind: str, now: datetime, by: str, **fields: Any) -> int:
    """Add one entry; its index. ``fields`` are ids, digests and codes, never content."""
    at = utc(now)
    entry = canonical_json({"at": at, "by": by, "kind": kind, **fields})
    last = connection.execute(_LAST).first()
    index = 0 if last is None else int(last[0]) + 1
    high = at if last is None else max(str(last.high), at)
    values = {"index": index, "entry": entry, "leaf": audit.leaf_hash(entry), "high": high}
    connection.execute(_ADD, values)
    return index


def entries(connection: Connection, after: int = -1, limit: int | None = None) -> list[bytes]:
    """Exact bytes of the entries behind ``after``, in order."""
    asked = sa.select(tables.log.c.entry).where(tables.log.c.index > after).order_by(tables.log.c.index)
    return [bytes(row.entry) for row in connection.execute(asked if limit is None else asked.limit(limit))]


def shown(connection: Connection, after: int, limit: int) -> list[dict[str, Any]]:
    """Entries as objects, with their index, for people."""
    return [
        {"index": after + 1 + n, **json.loads(entry)}
        for n, entry in enumerate(entries(connection, after, limit))
    ]


def leaves(connection: Connection) -> list[bytes]:
    rows = connection.execute(sa.select(tables.log.c.leaf).order_by(tables.log.c.index))
    return [bytes(row.leaf) for row in rows]


def checkpoint(store: Store, signer: Callable[[], Signer], now: datetime) -> bytes:
    """A signed note over everything logged so far; the same size is never signed twice.

    Raises Unreachable when Vault does not sign; then the log stands without a new checkpoint.
    """
    found = store.read(leaves)
    known = store.read(
        lambda c: c.execute(
            sa.select(tables.checkpoints.c.note).where(tables.checkpoints.c.size == len(found))
        ).scalar()
    )
    if known is not None:
        return bytes(known)
    note = audit.sign_checkpoint(ORIGIN, len(found), audit.root(found), signer())

    def keep(connection: Connection) -> None:
        values = {"size": len(found), "note": note, "at": utc(now)}
        if not connection.execute(
            sa.select(tables.checkpoints.c.size).where(tables.checkpoints.c.size == len(found))
        ).first():
            connection.execute(tables.checkpoints.insert().values(**values))

    store.transact(keep)
    return note
