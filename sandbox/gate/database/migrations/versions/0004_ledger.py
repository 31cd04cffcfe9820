"""The privacy ledger's acts, each bound to the one before; and the latest moment that the log had reached.

Both are counted again from the rows that are there.

Revision: 0004, after: 0003
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.engine import Connection, Row

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "ledger",
        sa.Column("dataset", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("run", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("chain", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_ledger_run_runs")),
        sa.PrimaryKeyConstraint("dataset", "seq", name=op.f("pk_ledger")),
        sa.UniqueConstraint("run", "kind", "dataset", name=op.f("uq_ledger_run_kind_dataset")),
    )
    op.add_column("log", sa.Column("high", sa.String(length=32), nullable=False, server_default=""))
    connection = op.get_bind()
    _chain(connection)
    _moments(connection)


def _chain(connection: Connection) -> None:
    """As :mod:`sandbox.gate.ledger.acts` did when this was written."""
    acts: dict[tuple[str, str, str], list[Row[Any]]] = {}
    for row in connection.execute(sa.text("SELECT * FROM budget ORDER BY id")):
        acts.setdefault((row.dataset, row.run, row.kind), []).append(row)
    heads: dict[str, tuple[int, str]] = {}
    for (dataset, run, kind), rows in acts.items():
        seq, before = heads.get(dataset, (0, ""))
        digest = _sha256(sorted(_line(row) for row in rows))
        chain = _sha256([before, dataset, seq + 1, run, kind, digest])
        heads[dataset] = (seq + 1, chain)
        values = {"dataset": dataset, "seq": seq + 1, "run": run, "kind": kind}
        entered = sa.text("INSERT INTO ledger VALUES (:dataset, :seq, :run, :kind, :digest, :chain)")
        connection.execute(entered, {**values, "digest": digest, "chain": chain})


def _line(row: Row[Any]) -> list[Any]:
    noise = [row.sigma, row.sample_rate, row.steps, row.epsilon, row.delta]
    return [row.subject, *(None if value is None else float(value) for value in noise)]


def _sha256(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _moments(connection: Connection) -> None:
    high = ""
    for row in connection.execute(sa.text('SELECT "index", entry FROM log ORDER BY "index"')).all():
        high = max(high, str(json.loads(bytes(row.entry))["at"]))
        changed = sa.text('UPDATE log SET high = :high WHERE "index" = :index')
        connection.execute(changed, {"high": high, "index": row[0]})
