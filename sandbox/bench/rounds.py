"""Several ways of doing the same, in turns: what the machine does meanwhile hits all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def in_turns(
    ways: Mapping[str, Callable[[], float]],
    rounds: int,
    budget_s: float,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, list[float]]:
    """Figures by name: A B C, A B C, ... for ``rounds``, or as many as ``budget_s`` has room for (one at least)."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    started = clock()
    for done in range(rounds):
        spent = clock() - started
        if done and spent + spent / done > budget_s:
            break
        for name, way in ways.items():
            found[name].append(way())
    return found
