"""The privacy ledger: reserved, then charged in full or released; appended and never updated."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from sandbox.gate.database.tables import budget as rows
from sandbox.gate.database.tables import ledger as acts
from sandbox.gate.ledger import budget
from sandbox.gate.ledger.budget import CHARGED, RELEASED, RESERVED
from sandbox.gate.runs import chronicle
from sandbox.policy.epsilon import Mechanism, spent
from sandbox.runs import Privacy
from tests.gate.world import ANNA, BEN, DATASET, admit, row

pytestmark = pytest.mark.both_databases

NOW = datetime(2026, 11, 24, tzinfo=UTC)
LOUD = Privacy("speaker", 4.0, 1e-5, 1.0, 1.0, 4, 2.0)


@pytest.fixture
def ledger(gate):
    return Ledger(gate)


class Ledger:
    """The rows of the house, and plans to enter in them."""

    def __init__(self, gate) -> None:
        self.gate, self.store = gate, gate.house.store

    def plan(self, privacy: Privacy | None = LOUD):
        """Of an admitted run whose own rows are taken out again."""
        run = admit(self.gate)
        for table in (rows, acts):
            self.store.transact(lambda c, t=table: c.execute(t.delete().where(t.c.run == run)))
        self.store.transact(lambda c: c.execute(sa.text("UPDATE runs SET state = 'settled'")))
        return replace(chronicle.granted(row(self.gate, run)), privacy=privacy)

    def reserve(self, plan) -> None:
        self.store.transact(lambda c: budget.reserve(c, plan, NOW))

    def settle(self, plan, *, trained: bool) -> None:
        self.store.transact(lambda c: budget.settle(c, plan, NOW, trained=trained))

    def kinds(self) -> list[tuple[str, str]]:
        asked = sa.select(rows.c.kind, rows.c.subject).order_by(rows.c.id)
        return self.store.read(lambda c: [tuple(found) for found in c.execute(asked)])

    def spent(self, subject: str = ANNA) -> float:
        standing = self.store.read(budget.ledger).standing
        return spent(standing.get((DATASET, subject), ()), 1e-5)


def test_each_voice_is_reserved_for_and_charged_in_full(ledger):
    plan = ledger.plan()
    ledger.reserve(plan)
    before = ledger.spent()
    assert before == spent([Mechanism(2.0, 1.0, 4)], 1e-5) > 0
    ledger.settle(plan, trained=True)
    assert ledger.kinds() == [(RESERVED, ANNA), (RESERVED, BEN), (CHARGED, ANNA), (CHARGED, BEN)]
    assert ledger.spent() == ledger.spent(BEN) == before


def test_what_never_trained_is_released(ledger):
    plan = ledger.plan()
    ledger.reserve(plan)
    ledger.settle(plan, trained=False)
    assert [kind for kind, _ in ledger.kinds()] == [RESERVED, RESERVED, RELEASED, RELEASED]
    assert ledger.spent() == 0.0


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_a_run_is_settled_once(ledger, first, second):
    plan = ledger.plan()
    ledger.reserve(plan)
    ledger.settle(plan, trained=first)
    before = ledger.kinds()
    ledger.settle(plan, trained=second)
    assert ledger.kinds() == before


def test_a_run_is_reserved_once(ledger):
    plan = ledger.plan()
    ledger.reserve(plan)
    with pytest.raises(sa.exc.IntegrityError):
        ledger.reserve(plan)


def test_runs_compose(ledger):
    for _ in range(2):
        ledger.reserve(ledger.plan())
    assert ledger.spent() == spent([Mechanism(2.0, 1.0, 8)], 1e-5)


def test_a_run_without_privacy_has_no_bound_and_no_part_in_the_composition(ledger):
    plan = ledger.plan(None)
    ledger.reserve(plan)
    ledger.settle(plan, trained=True)
    assert [kind for kind, _ in ledger.kinds()] == [RESERVED, RESERVED, CHARGED, CHARGED]
    assert ledger.spent() == 0.0
    assert ledger.store.read(lambda c: c.execute(sa.select(rows.c.epsilon)).scalars().all()) == [None] * 4


def test_every_row_makes_another_ledger(ledger):
    versions = [ledger.store.read(budget.version)]
    plan = ledger.plan()
    ledger.reserve(plan)
    versions.append(ledger.store.read(budget.version))
    ledger.settle(plan, trained=False)
    versions.append(ledger.store.read(budget.version))
    assert versions == sorted(set(versions))


def test_what_a_run_would_cost_is_told_for_each_voice(ledger):
    ledger.reserve(ledger.plan())
    found = budget.spending(ledger.store.read(budget.ledger), DATASET, [ANNA, "spk_new0"], LOUD, 1e-5)
    assert [(s.subject, s.spent == 0.0) for s in found] == [(ANNA, False), ("spk_new0", True)]
    assert found[0].after > found[0].spent and found[1].after == found[0].spent
