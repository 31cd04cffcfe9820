"""The offered rate: requests that come when they come, and one that takes long makes the next wait."""

from __future__ import annotations

import itertools
import random
import threading

import pytest

from sandbox.bench import admitting
from sandbox.bench.deciding import GOAL_MS, RATE, Served, arrivals, in_a_gate, offered
from sandbox.bench.figures import Unmeasured
from tests.gate.founding import copied, found
from tests.gate.world import ENGINEER, request, short_folder


def test_requests_arrive_at_the_offered_rate_and_not_in_step() -> None:
    times = arrivals(4000, 10.0, random.Random(7))
    gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert times == sorted(times)
    assert sum(gaps) / len(gaps) == pytest.approx(0.1, rel=0.1)
    assert len(set(gaps)) == len(gaps)


def test_waiting_for_a_turn_is_not_service() -> None:
    now = [100.0]

    def ask() -> None:
        now[0] += 0.3

    def sleep(seconds: float) -> None:
        now[0] += seconds

    found = offered([ask], [0.1, 0.2, 2.0], lambda: now[0], sleep)
    assert [one.service for one in found] == pytest.approx([0.3] * 3)
    assert [one.waited for one in found] == pytest.approx([0.0, 0.2, 0.0])
    assert isinstance(found[0], Served)


def test_lanes_are_served_beside_each_other() -> None:
    """Two requests that are due at once are both being served before either is answered."""
    both = threading.Barrier(2, timeout=60)
    found = offered([lambda: both.wait() and None] * 2, [0.0, 0.0])  # type: ignore[func-returns-value]
    assert len(found) == 2


def test_a_request_that_fails_is_no_figure() -> None:
    def fails() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        offered([fails], [0.0, 0.0])


def test_a_gate_decides_on_both_databases(tmp_path) -> None:
    """The facts are a real gate's; a row each, with the queueing told apart and the goal beside it."""
    with short_folder() as first, short_folder() as state:
        world = copied(found(first), state)
        gate = world.gate()
        gate.admission.ask(request(), ENGINEER, only_decide=True)
        gate.house.store.close()
        rows = in_a_gate(world.places.private / "gate.db", tmp_path, 20)
        world.close()
    assert [row.name for row in rows] == [
        "decision in the gate, SQLite, p99",
        "decision in the gate, PostgreSQL, p99",
    ]
    for row in rows:
        assert row.goal == f"<= {GOAL_MS:g} ms" and row.value > 0
        assert f"20 at {RATE:g}/s" in row.against and "queueing apart: p99" in row.against


def test_a_gate_that_decided_nothing_gives_no_figure(tmp_path) -> None:
    from sandbox.gate.database.store import Store

    Store(f"sqlite:///{tmp_path}/empty.db").close()
    with pytest.raises(Unmeasured):
        admitting.newest(tmp_path / "empty.db")
