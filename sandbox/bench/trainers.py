"""Our loop and coqui's Trainer, both on plain files outside: the same model, batches, optimizer and schedule."""

from __future__ import annotations

import os
import shutil

from sandbox.bench import figures, outside
from sandbox.bench.outside import Outdoors
from sandbox.bench.rounds import in_turns
from sandbox.bench.rows import Row, at_least, below

RECIPES = {"fastpitch": 600, "glowtts": 400}  # and how many steps
BATCH = 4
GOAL = 1.0
WAIT_GOAL = 1.0  # % of a step
BUDGET_S = 150.0
WARM_UP = 1 / 6  # of the steps


def measure(place: Outdoors, rounds: int, recipes: dict[str, int] = RECIPES) -> list[Row]:
    """Three rows for each recipe."""
    return [row for recipe, steps in recipes.items() for row in _rows(place, recipe, steps, rounds)]


def _rows(place: Outdoors, recipe: str, steps: int, rounds: int) -> list[Row]:
    peaks: dict[str, list[float]] = {"plain": [], "by_trainer": []}
    waits: list[float] = []
    parameters = {"steps": steps, "size": "tiny", "batch_size": BATCH}

    def train(program: str) -> float:
        keep, threads = place.work / "kept", len(os.sched_getaffinity(0))
        try:
            told = outside.run(place, program, outside.asked(place, recipe, parameters, keep, threads))
        finally:
            shutil.rmtree(keep, ignore_errors=True)
        peaks[program].append(told.number("peak_mb"))
        if program == "plain":
            waits.append(100 * told.number("waited_s") / told.number("stepped_s"))
        return figures.steady(told.beats, int(steps * WARM_UP))

    ways = {"plain": lambda: train("plain"), "by_trainer": lambda: train("by_trainer")}
    return rows(recipe, in_turns(ways, rounds, BUDGET_S), peaks, waits)


def rows(
    recipe: str, rates: dict[str, list[float]], peaks: dict[str, list[float]], waits: list[float]
) -> list[Row]:
    """Medians, side by side."""
    ours, theirs = (figures.median(rates[way]) for way in ("plain", "by_trainer"))
    held, kept = (figures.median(peaks[way]) for way in ("plain", "by_trainer"))
    trainer = "coqui's Trainer, same model and batches"
    against = f"{trainer} ({figures.spread(rates['by_trainer'])})"
    waited = figures.median(waits)
    return [
        at_least(f"{recipe} tiny, our loop", ours, "steps/s", against, theirs, GOAL),
        below("its peak memory", held, "MB", trainer, kept),
        Row("its wait for data", waited, "% of steps", "", None, f"<= {WAIT_GOAL:g} %", waited <= WAIT_GOAL),
    ]
