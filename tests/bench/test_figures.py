"""From what was seen to figures."""

from __future__ import annotations

import json

import pytest

from sandbox.bench import figures
from sandbox.bench.figures import Beat, Unmeasured


def test_a_progress_message_tells_its_own_time() -> None:
    assert figures.beat({"step": 30, "total": 60, "rate": 10.0}) == Beat(30, 3.0)


def test_the_first_message_has_no_rate_and_is_no_beat() -> None:
    assert figures.beat({"step": 1, "total": 60, "rate": 0.0}) is None


def test_beats_are_found_among_what_else_a_program_prints() -> None:
    lines = ["> EPOCH 1", "{broken", "[]", '{"step": 4}', json.dumps({"step": 4, "rate": 2.0})]
    assert figures.beats(lines) == [Beat(4, 2.0)]


def test_a_rate_leaves_the_warm_up_out() -> None:
    slow_start = [Beat(1, 5.0), Beat(10, 9.0), Beat(20, 10.0), Beat(40, 12.0)]
    assert figures.rate(slow_start, 10) == pytest.approx(10.0)
    assert figures.rate(slow_start, 0) < 10.0


@pytest.mark.parametrize(
    "found",
    [[], [Beat(20, 2.0)], [Beat(5, 1.0), Beat(20, 2.0)], [Beat(20, 2.0), Beat(21, 2.0)]],
    ids=["none", "one", "one after warm-up", "no time passed"],
)
def test_a_rate_of_too_little_is_no_figure(found: list[Beat]) -> None:
    with pytest.raises(Unmeasured):
        figures.rate(found, 10)


@pytest.mark.parametrize(
    ("percent", "expected"),
    [(50, 50.0), (99, 99.0), (100, 100.0), (0, 1.0)],
    ids=["p50", "p99", "p100", "p0"],
)
def test_a_percentile_is_one_of_the_values(percent: float, expected: float) -> None:
    assert figures.percentile([float(n) for n in range(100, 0, -1)], percent) == expected


def test_the_99th_of_few_is_the_largest() -> None:
    assert figures.percentile([3.0, 1.0, 2.0], 99) == 3.0


def test_nothing_has_no_median_and_no_percentile() -> None:
    with pytest.raises(Unmeasured):
        figures.median([])
    with pytest.raises(Unmeasured):
        figures.percentile([], 99)


def test_a_spread_is_readable() -> None:
    assert figures.spread([9.66, 9.1, 9.31]) == "3 runs, 9.1 to 9.66"
