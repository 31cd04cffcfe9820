"""A database of the version before: its rows are kept, what came later is counted from them, a gate goes on with it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from sandbox.gate.database import schema, tables
from sandbox.gate.database.engines import open_engine
from sandbox.gate.database.store import Store
from sandbox.gate.ledger import acts, high_water, log, mark
from sandbox.gate.ledger.invariants import broken
from sandbox.runs import Privacy
from tests.fakes.keeper import trains
from tests.fakes.postgres import fresh
from tests.gate import scripts
from tests.gate.world import DATASET, admit, row, run_of
from tests.gate.world import request as asked

pytestmark = pytest.mark.both_databases
BEFORE = "0002"
#: Every table of that version, and the one whose rows are counted from them.
KEPT = (
    "runs",
    "leases",
    "credentials",
    "events",
    "artifacts",
    "decisions",
    "budget",
    "ledger",
    "log",
    "checkpoints",
    "statements",
    "recipes",
    "models",
    "withdrawals",
    "postings",
    "settlements",
)
PRIVATE = Privacy("speaker", 3.0, 1e-5, 1.0, 1.0)


@pytest.fixture
def old(world, gate, database, request, tmp_path):
    """The address of a database of revision 0002 with what a gate of today wrote, as far as it had columns."""
    url = (
        f"sqlite:///{tmp_path}/old.db" if database == "sqlite" else fresh(request.getfixturevalue("postgres"))
    )
    run_of(gate, asked(privacy=PRIVATE))
    run_of(gate)
    world.script = scripts.fails
    run_of(gate, asked(privacy=PRIVATE))
    admit(gate)
    engine = open_engine(url)
    schema.prepare(engine, BEFORE)
    before = sa.MetaData()
    before.reflect(engine)
    assert "ledger" not in before.tables and "high" not in before.tables["log"].c
    with engine.begin() as connection:
        for table in before.sorted_tables:
            if table.name not in tables.metadata.tables:
                continue
            today = tables.metadata.tables[table.name]
            rows = gate.house.store.read(lambda c, t=today: c.execute(sa.select(t)).mappings().all())
            if rows:
                kept = [{column.name: found[column.name] for column in table.c} for found in rows]
                connection.execute(table.insert(), kept)
            if database != "sqlite" and table.name in ("budget", "events"):  # numbers go on behind the rows
                behind = f"(SELECT max(id) FROM {table.name})"
                connection.exec_driver_sql(f"SELECT setval('{table.name}_id_seq', {behind})")
    engine.dispose()
    gate.house.store.close()
    return url


def test_the_version_before_is_brought_up_to_date_and_every_row_reads(world, gate, old):
    today = gate.house.store
    store = Store(old)
    for table in map(tables.metadata.tables.__getitem__, KEPT):
        order = sa.select(table).order_by(*table.primary_key.columns)
        kept, made = (s.read(lambda c, q=order: c.execute(q).all()) for s in (today, store))
        assert made == kept, table.name
    assert len(store.read(log.entries)) > 20 and store.read(acts.altered) == []
    store.close()
    today.close()


def test_a_gate_goes_on_with_it(world, gate, old):
    """The mark in Vault was made with the database of today, and fits: both count the same acts."""
    world.database = old
    later = world.gate()
    mark.check_mark(later.house)
    assert broken(later.house) == []
    world.script = trains
    run = admit(later)
    later.supervision.begin(run)
    assert later.supervision.join(run, 20) and row(later, run).outcome == "finished"
    assert broken(later.house) == []


def test_a_database_of_before_needs_no_mark_to_be_used(world, gate, old):
    """No gate of that version marked a ledger: the first launch does."""
    del world.vault.kept[f"budgets/{DATASET}"]
    world.database = old
    later = world.gate()
    high_water.check(later.house)
    high_water.cover(later.house, DATASET)
    assert len(world.vault.kept[f"budgets/{DATASET}"]) == 1


def test_a_second_start_changes_nothing(old):
    first = Store(old)
    before = first.read(lambda c: c.execute(sa.select(tables.ledger)).all())
    first.close()
    second = Store(old)
    assert second.read(lambda c: c.execute(sa.select(tables.ledger)).all()) == before
    second.close()
