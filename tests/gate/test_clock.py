"""A clock that is set back revives nothing: time goes on in a gate's life, and the log remembers it over a restart."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from sandbox.errors import Refused
from sandbox.gate.database.tables import decisions, incidents, runs
from sandbox.gate.database.tables import log as entries
from sandbox.gate.deciding import clock
from sandbox.gate.deciding.clock import TOLERANCE_S, Steady
from sandbox.gate.ledger import log
from sandbox.gate.ledger.invariants import broken
from sandbox.policy.replay import replay
from sandbox.runs import Privacy
from tests.gate.world import ANNA, DATASET, ENGINEER, admit, ended, request, row

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Machine:
    """A wall clock that people set, and a monotonic one that nobody can."""

    def __init__(self) -> None:
        self.wall, self.ticks = NOON, 1000.0

    def passes(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.ticks += seconds

    def steady(self) -> Steady:
        return Steady(lambda: self.wall, lambda: self.ticks)


def at(steady: Steady) -> float:
    """Seconds since noon."""
    return (steady() - NOON).total_seconds()


# Within a gate's life


def test_it_goes_with_the_wall_clock():
    machine = Machine()
    steady = machine.steady()
    machine.passes(10)
    assert at(steady) == 10
    machine.wall += timedelta(hours=1)  # set ahead, or the machine slept
    assert at(steady) == 3610


@pytest.mark.parametrize("back_s", [1, 3600, 86400 * 365], ids=["a leap second", "an hour", "a year"])
def test_set_back_it_goes_on_as_time_does(back_s):
    """Nothing stands still either: what ends in ten seconds ends in ten seconds."""
    machine = Machine()
    steady = machine.steady()
    machine.passes(10)
    assert at(steady) == 10
    machine.wall -= timedelta(seconds=back_s)
    assert at(steady) == 10
    machine.passes(5)
    assert at(steady) == 15
    machine.wall = NOON + timedelta(seconds=16)  # and set right again
    machine.ticks += 1
    assert at(steady) == 16


def test_a_leap_second_that_is_told_twice_is_told_once():
    """23:59:59, 23:59:59 again, 00:00:00: as Linux tells a positive leap second (RFC 8536 says UTC has 61 then)."""
    machine = Machine()
    machine.wall = datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)
    steady, seen = machine.steady(), []
    for wall in (59.0, 59.5, 59.0, 59.5, 60.0, 60.5):
        machine.wall = datetime(2016, 12, 31, 23, 59, tzinfo=UTC) + timedelta(seconds=wall)
        seen.append(steady())
        machine.ticks += 0.5
    assert seen == sorted(set(seen))


def test_it_never_goes_back_whatever_is_done_to_the_wall_clock():
    machine = Machine()
    steady, seen = machine.steady(), []
    for step in (5, -7200, 1, 3600, -1, 0, -3600, 10800, -86400):
        machine.wall += timedelta(seconds=step)
        machine.ticks += 0.25
        seen.append(steady())
    assert seen == sorted(seen)


# Over a restart


@pytest.fixture
def back(world):
    """The gate has worked at noon; it is restarted, and the machine's clock says something earlier."""

    def back(**span: float):
        admit(world.gate())
        world.pass_time(**{name: -value for name, value in span.items()})
        return world.gate()

    return back


@pytest.mark.both_databases
@pytest.mark.parametrize("only_decide", [False, True], ids=["a run", "only a decision"])
def test_a_clock_behind_the_log_admits_nothing(world, database, back, only_decide):
    gate = back(hours=1)
    with pytest.raises(Refused) as refused:
        gate.admission.ask(request(), ENGINEER, only_decide=only_decide)
    (reason,) = refused.value.reasons
    assert (reason.code, reason.about) == ("clock.backwards", "clock")
    assert "2026-11-24T11:00:00Z" in reason.why and "2026-11-24T12:00:00Z" in reason.why
    assert (
        gate.house.store.read(lambda c: c.execute(sa.select(sa.func.count()).select_from(runs)).scalar()) == 1
    )
    world.pass_time(hours=1)
    assert admit(gate)


def test_a_clock_that_differs_by_a_little_admits(back):
    assert admit(back(seconds=TOLERANCE_S))


def test_a_clock_that_differs_by_more_than_a_little_does_not(back):
    with pytest.raises(Refused):
        admit(back(seconds=TOLERANCE_S + 1))


def test_an_access_that_ended_is_not_revived(world):
    """It ends with the year; a decision after that is refused for it, and one with the clock set back for the clock."""
    admit(world.gate())
    world.pass_time(days=45)
    later = world.gate()
    with pytest.raises(Refused) as refused:
        admit(later)
    codes = {reason.code for reason in refused.value.reasons}
    assert "clock.backwards" not in codes and codes
    world.pass_time(days=-45)
    with pytest.raises(Refused) as refused:
        admit(world.gate())
    assert {reason.code for reason in refused.value.reasons} == {"clock.backwards"}


def test_what_is_written_at_the_wrong_time_does_not_lower_the_mark(world, back):
    """Kills, refusals and ends are logged whatever the clock says; the next decision is refused all the same."""
    gate = back(hours=1)
    gate.house.store.transact(lambda c: log.append(c, "note", world.clock(), "me"))
    assert gate.house.store.read(clock.latest) == NOON
    with pytest.raises(Refused):
        admit(gate)


def test_a_run_goes_on_and_ends_and_is_charged_whatever_the_clock_says(world, gate):
    run = admit(gate, request(privacy=Privacy("speaker", 4.0, 1e-5, 1.0, 1.0)))
    world.pass_time(hours=-3)
    gate.supervision.begin(run)
    found = ended(gate, run)
    assert (found.outcome, found.failure) == ("finished", None) and found.epsilon > 0
    spent = gate.house.store.read(lambda c: c.execute(sa.text("SELECT kind, subject FROM budget")).all())
    assert [tuple(one) for one in spent].count(("charged", ANNA)) == 1
    assert broken(gate.house) == [] and row(gate, run).dataset == DATASET
    assert not gate.house.store.read(lambda c: c.execute(sa.select(incidents)).all())


def test_a_refusal_for_the_clock_can_be_replayed(back):
    gate = back(hours=1)
    with pytest.raises(Refused) as refused:
        admit(gate)
    asked = sa.select(decisions).where(decisions.c.id == refused.value.decision)
    stored = gate.house.store.read(lambda c: c.execute(asked).mappings().one())
    logged = [json.loads(entry) for entry in gate.house.store.read(log.entries)]
    (entry,) = [entry for entry in logged if entry.get("decision") == stored["id"]]
    assert entry["reasons"] == ["clock.backwards"]
    assert replay(stored, entry).faults == ()


def test_the_mark_is_part_of_what_must_agree(gate):
    admit(gate)
    gate.house.store.transact(lambda c: c.execute(entries.update().values(high="2026-01-01T00:00:00Z")))
    assert any("the latest moment is" in fault for fault in broken(gate.house))
