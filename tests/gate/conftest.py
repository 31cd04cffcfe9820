"""A founded house, copied for each test; doors that look often, so that tests need not wait."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.gate import conversation, watch
from sandbox.gate.gate import Gate
from sandbox.isolation import doors
from sandbox.runs import RunState
from tests.gate import scripts
from tests.gate.founding import copied, found
from tests.gate.world import World, admit, muted_power_cuts, reaches, short_folder


@pytest.fixture(scope="session")
def founded() -> Iterator[World]:
    with short_folder() as state:
        yield found(state)


@pytest.fixture
def world(founded: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An installation of this test's own."""
    for where, name, seconds in (
        (doors, "ACCEPT_S", 0.05),
        (conversation, "POLL_S", 0.04),
        (watch, "LOOK_S", 0.02),
        (watch, "TELL_S", 0.05),
    ):
        monkeypatch.setattr(where, name, seconds)
    with short_folder() as state, muted_power_cuts():
        world = copied(founded, state)
        yield world
        world.close()


@pytest.fixture
def gate(world: World) -> Gate:
    return world.gate()


@pytest.fixture
def live(world: World, gate: Gate) -> str:
    """A run that waits in training."""
    world.script = scripts.waits
    run = admit(gate)
    gate.supervision.begin(run)
    reaches(gate, run, RunState.TRAINING)
    return run
