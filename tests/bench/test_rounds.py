"""Ways of doing the same take turns, within the time there is."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.bench.rounds import in_turns


class Day:
    """A clock that each way moves by what it takes, and who had a turn."""

    def __init__(self) -> None:
        self.now = 0.0
        self.turns = ""

    def way(self, name: str, seconds: float) -> Callable[[], float]:
        def go() -> float:
            self.turns += name
            self.now += seconds
            return seconds

        return go

    def take(self, rounds: int, budget_s: float) -> dict[str, list[float]]:
        ways = {"A": self.way("A", 10.0), "B": self.way("B", 20.0)}
        return in_turns(ways, rounds, budget_s, lambda: self.now)


def test_ways_are_interleaved() -> None:
    day = Day()
    assert day.take(3, 1000.0) == {"A": [10.0] * 3, "B": [20.0] * 3}
    assert day.turns == "ABABAB"


def test_a_round_that_would_not_fit_is_not_begun() -> None:
    day = Day()
    assert len(day.take(3, 65.0)["A"]) == 2
    assert day.now <= 65.0


def test_there_is_always_one_round() -> None:
    assert Day().take(3, 0.0) == {"A": [10.0], "B": [20.0]}
