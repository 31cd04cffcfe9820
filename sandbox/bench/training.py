"""Steps a second: in the sandbox on sealed data, the same loop outside on wav files, and coqui's own Trainer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

from sandbox.bench import figures, outside
from sandbox.bench.figures import Beat
from sandbox.bench.ground import Ground
from sandbox.bench.rounds import in_turns
from sandbox.bench.rows import Row, at_least, below
from sandbox.bench.watching import follow

RECIPE = "digits"
WARM_UP = 1 / 6  # of the steps
GOAL = 0.98
BUDGET_S = 420.0


def measure(ground: Ground, steps: int, rounds: int) -> list[Row]:
    """Four rows. All three use the same recordings, sizes, batch and number of threads, and save three checkpoints."""
    threads = len(os.sched_getaffinity(0))  # what the keeper tells its trainer
    request = ground.request(RECIPE, {"cpus": float(threads)}, steps=steps)
    warm_up = int(steps * WARM_UP)
    first: dict[str, list[float]] = {"sandbox": [], "coqui": []}
    peaks: dict[str, list[float]] = {"plain": [], "coqui": []}

    def sandboxed() -> list[Beat]:
        seen = follow(ground, request)
        first["sandbox"].append(seen.first_step())
        return seen.beats

    def outdoors(program: str) -> list[Beat]:
        keep = ground.work / "plain"
        try:
            seen = outside.run(ground, program, outside.order(ground, request, keep, threads))
        finally:
            shutil.rmtree(keep, ignore_errors=True)
        peaks[program].append(seen.number("peak_mb"))
        if program in first:
            first[program].append(seen.number("first_step_s"))
        return seen.beats

    def told(what: str, train: Callable[[], list[Beat]]) -> float:
        with ground.doing(f"  {what}: {steps} steps"):
            rate = figures.rate(train(), warm_up)
        ground.say(f"  {what}: {rate:.2f} steps/s after {warm_up} of {steps} steps")
        return rate

    ways = {
        "sandbox": lambda: told("in the sandbox", sandboxed),
        "plain": lambda: told("the same loop outside", lambda: outdoors("plain")),
        "coqui": lambda: told("coqui's Trainer outside", lambda: outdoors("coqui")),
    }
    return [*rows(in_turns(ways, rounds, BUDGET_S)), until_first_step(first), memory(peaks)]


def until_first_step(first: dict[str, list[float]]) -> Row:
    """From asking for a run, its decision and its container included; against a program that is started outside."""
    against = f"coqui's Trainer, from starting Python ({figures.spread(first['coqui'])})"
    ours, theirs = (figures.median(first[name]) for name in ("sandbox", "coqui"))
    return below(f"start to first step of {RECIPE}, sealed", ours, "s", against, theirs)


def memory(peaks: dict[str, list[float]]) -> Row:
    """Of whole processes, outside: our loop, and the Trainer with the data loading that comes with it."""
    ours, theirs = (figures.median(peaks[name]) for name in ("plain", "coqui"))
    return below(f"peak memory of {RECIPE}, our loop outside", ours, "MB", "coqui's Trainer", theirs)


def rows(found: dict[str, list[float]]) -> list[Row]:
    """Medians, side by side."""
    ours, plain, coqui = (figures.median(found[name]) for name in ("sandbox", "plain", "coqui"))
    name = f"train {RECIPE}, sealed"
    same = f"the same loop on wav files ({figures.spread(found['plain'])})"
    theirs = f"coqui's Trainer on wav files ({figures.spread(found['coqui'])})"
    return [
        at_least(f"{name} / same loop", ours, "steps/s", same, plain, GOAL),
        Row(f"{name} / coqui", ours, "steps/s", f"{theirs}: {coqui:.3g} steps/s", ours / coqui),
    ]
