"""Steps a second: in the sandbox on sealed data, the same loop outside on wav files, and coqui's own Trainer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

from sandbox.bench import figures, outside
from sandbox.bench.figures import Beat
from sandbox.bench.ground import Ground
from sandbox.bench.rounds import in_turns
from sandbox.bench.rows import Row, at_least
from sandbox.bench.watching import follow

RECIPE = "digits"
WARM_UP = 1 / 6  # of the steps
GOAL = 0.95
BUDGET_S = 420.0


def measure(ground: Ground, steps: int, rounds: int) -> list[Row]:
    """Two rows. All three use the same recordings, sizes, batch and number of threads, and save three checkpoints."""
    threads = len(os.sched_getaffinity(0))  # what the keeper tells its trainer
    request = ground.request(RECIPE, cpus=float(threads), steps=steps)
    warm_up = int(steps * WARM_UP)

    def sandboxed() -> float:
        return told("in the sandbox", lambda: follow(ground, request).beats)

    def plain() -> float:
        return told("the same loop outside", lambda: beats("plain"))

    def trainer() -> float:
        return told("coqui's Trainer outside", lambda: beats("coqui"))

    def beats(program: str) -> list[Beat]:
        keep = ground.work / "plain"
        try:
            return outside.train(ground, program, outside.order(ground, request, keep, threads))
        finally:
            shutil.rmtree(keep, ignore_errors=True)

    def told(what: str, train: Callable[[], list[Beat]]) -> float:
        with ground.doing(f"  {what}: {steps} steps"):
            rate = figures.rate(train(), warm_up)
        ground.say(f"  {what}: {rate:.2f} steps/s after {warm_up} of {steps} steps")
        return rate

    return rows(in_turns({"sandbox": sandboxed, "plain": plain, "coqui": trainer}, rounds, BUDGET_S))


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
