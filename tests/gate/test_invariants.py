"""Each invariant notices its violation: one is planted, and ``broken`` names it and nothing of another kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.gate.ledger.invariants import broken
from sandbox.gate.routes import api
from sandbox.runs import RunState
from tests.gate import scripts
from tests.gate.founding import copied, found
from tests.gate.violations import PLANTED, House
from tests.gate.world import OPERATOR, World, admit, ended, reaches, run_of, short_folder

#: A run that is settled otherwise than it was breaks what rests on how it ended.
ALSO = {"another outcome": {"9"}}


@pytest.fixture(scope="module")
def past() -> Iterator[World]:
    with short_folder() as state:
        world = found(state)
        gate = world.gate()
        run_of(gate)
        world.script = scripts.fails
        run_of(gate)
        world.script = scripts.waits
        run = admit(gate)
        gate.supervision.begin(run)
        reaches(gate, run, RunState.TRAINING)
        api.kill(gate, run, OPERATOR, "asked")
        ended(gate, run)
        world.close()
        yield world


@pytest.fixture
def house(past: World) -> Iterator[House]:
    with short_folder() as state:
        world = copied(past, state)
        yield House(world, world.gate())
        world.close()


def test_nothing_is_broken_in_a_sound_house(house):
    assert house.broken() == []


def test_nothing_is_broken_while_runs_live(world, gate):
    world.script = scripts.waits
    for state in (RunState.ADMITTED, RunState.TRAINING):
        run = admit(gate)
        if state is RunState.TRAINING:
            gate.supervision.begin(run)
            reaches(gate, run, state)
        assert broken(gate.house) == []


@pytest.mark.parametrize("planted", PLANTED)
def test_a_violation_is_named(house, planted):
    number, plant, words = PLANTED[planted]
    plant(house)
    faults = house.broken()
    assert [fault for fault in faults if fault.startswith(f"{number}. ") and words in fault], faults
    assert {fault.partition(".")[0] for fault in faults} - {number} <= ALSO.get(planted, set()), faults
