"""A part of ``make faults`` that takes seconds: some points of every kind of fault, every race, the kill drill."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox.gate.runs.states import NEXT
from sandbox.runs import RunState
from tests.faults import drill, races
from tests.faults.kinds import KINDS
from tests.faults.matrix import LEAST, matrix, telling
from tests.faults.play import play
from tests.faults.record import record
from tests.faults.wires import LAUNCHER, STORE, TRACKING, VAULT

EACH = 3


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_everything_holds_after(kind, founded, points):
    cases = telling([case for case in matrix(points) if case[1] is kind], EACH)
    with ThreadPoolExecutor(EACH) as pool:
        rows = list(pool.map(lambda case: play(founded, *case), cases))
    assert len(rows) == EACH and [row for row in rows if not row.holds] == []


@pytest.mark.parametrize("name", races.RACES)
def test_everything_holds_when(name, founded):
    assert races.play(founded, name).broken == []


def test_twenty_runs_are_stopped_at_once(founded, monkeypatch):
    monkeypatch.setattr(drill, "STOPPED_MS", 3 * drill.STOPPED_MS)  # other tests run beside this one
    found = drill.play(founded)
    assert found.broken == [] and set(found.times_ms) == {"answered", "containers gone", "settled"}


def test_two_sound_runs_pass_the_same_points(founded, points):
    assert record(founded) == points and len(set(points)) == len(points) >= LEAST


def test_the_points_are_every_state_and_every_hand(points):
    said = " ".join(point.label for point in points)
    reached = set(NEXT) - {RunState.ASKED, RunState.REFUSED}
    assert {state for state in reached if f"state {state.value}" in said} == reached
    assert {point.site.hand for point in points} == {STORE, VAULT, LAUNCHER, TRACKING}


def test_every_point_dies_and_every_call_of_a_service_fails(points):
    cases = matrix(points)
    of = {kind.name: {point.site for point, its in cases if its is kind} for kind in KINDS}
    every = {point.site for point in points}
    assert of["the gate dies before it"] == of["the gate dies after it"] == every
    asked = {site for site in every if site.hand == VAULT}
    for what in ("Vault goes away", "Vault's answer is lost", "Vault hangs", "Vault answers 500"):
        assert of[what] == asked


def test_too_few_points_are_no_matrix(points):
    with pytest.raises(ValueError, match="only 39 points"):
        matrix(points[:39])
