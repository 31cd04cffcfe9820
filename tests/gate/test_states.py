"""The machine: forward, or to the end; and nothing leads out of what is final."""

from __future__ import annotations

import itertools

import pytest

from sandbox.errors import Conflict
from sandbox.gate.runs.states import (
    AFTER_CRASH,
    CONTAINER,
    DOOR_DIRECTORY,
    FINAL,
    NEXT,
    outcome,
    require_step,
)
from sandbox.runs import Outcome, RunState

ORDER = list(RunState)[2:]  # admitted … settled


@pytest.mark.parametrize("final", sorted(FINAL))
def test_nothing_leads_out_of_a_final_state(final):
    for after in RunState:
        with pytest.raises(Conflict):
            require_step(final, after)


def test_a_run_goes_one_step_on_or_to_its_end():
    allowed = {(a, b) for a, b in itertools.product(ORDER, ORDER) if b in NEXT[a]}
    steps = set(itertools.pairwise(ORDER))
    ends = {(state, RunState.ENDED) for state in ORDER if state not in (RunState.ENDED, RunState.SETTLED)}
    assert allowed == steps | ends


def test_every_state_says_what_a_restart_does():
    assert set(AFTER_CRASH) == set(NEXT) == set(RunState)
    assert CONTAINER < DOOR_DIRECTORY and not FINAL & DOOR_DIRECTORY


@pytest.mark.parametrize(
    ("killed", "failure", "how"),
    [
        (False, "", Outcome.FINISHED),
        (False, "recipe.failed", Outcome.FAILED),
        (True, "", Outcome.KILLED),
        (True, "recipe.failed", Outcome.KILLED),
    ],
)
def test_a_kill_is_a_kill_whatever_else_went_wrong(killed, failure, how):
    assert outcome(killed, failure) is how
