"""The offered rate: requests that come when they come, and one that takes long makes the next wait."""

from __future__ import annotations

import itertools
import random

import pytest

from sandbox.bench.deciding import Served, arrivals, offered


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

    found = offered(ask, [0.1, 0.2, 2.0], lambda: now[0], sleep)
    assert [one.service for one in found] == pytest.approx([0.3] * 3)
    assert [one.waited for one in found] == pytest.approx([0.0, 0.2, 0.0])
    assert isinstance(found[0], Served)
