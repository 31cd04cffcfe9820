"""What a kill reached, and what it still owes.

Revision: 0003, after: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("incidents", sa.Column("closed_by", sa.String(length=64), nullable=True))
    op.add_column("incidents", sa.Column("affected", sa.JSON(), nullable=True))
    op.create_table(
        "duties",
        sa.Column("incident", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("what", sa.String(length=128), nullable=False),
        sa.Column("run", sa.String(length=64), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("fault", sa.String(length=64), nullable=True),
        sa.Column("done_at", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["incident"], ["incidents.id"], name=op.f("fk_duties_incident")),
        sa.PrimaryKeyConstraint("incident", "kind", "what", name=op.f("pk_duties")),
    )
    op.create_index(op.f("ix_duties_run"), "duties", ["run"])
