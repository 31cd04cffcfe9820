"""What checkpoints cost: a short training with all that its card schedules, less one with a model at its end."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.bench import outside, recipes
from sandbox.bench.figures import Unmeasured, median, spread
from sandbox.bench.ground import Ground
from sandbox.bench.recipes import Case
from sandbox.bench.rows import Row
from sandbox.bench.watching import follow

CASE = Case("fastpitch", "full", 10)


@dataclass(frozen=True)
class Spent:
    """A training from its first step to its end: seconds, and the megabytes that it left."""

    seconds: float
    megabytes: float


def measure(ground: Ground, rounds: int) -> list[Row]:
    """One row. Sealed and outside, each with and without checkpoints, in turns."""
    cards = {
        "with": ground.source / "recipes",
        "without": recipes.without_checkpoints(ground.source / "recipes", ground.work / "recipes", [CASE]),
    }
    recipes.approve(ground, [folder / CASE.recipe for folder in cards.values()])
    sealed: dict[str, list[Spent]] = {name: [] for name in cards}
    plain: dict[str, list[Spent]] = {name: [] for name in cards}
    for _ in range(rounds):
        for name, folder in cards.items():
            sealed[name].append(_sealed(ground, folder))
            plain[name].append(_plain(ground, folder))
            told = ", ".join(f"{kept[name][-1].seconds:.1f} s" for kept in (sealed, plain))
            ground.say(f"  {CASE.name} {name} checkpoints, in the sandbox and outside: {told}")
    return [row(sealed, plain)]


def row(sealed: Mapping[str, Sequence[Spent]], plain: Mapping[str, Sequence[Spent]]) -> Row:
    """Medians, side by side. Raises Unmeasured where trainings with checkpoints took no longer."""
    ours, theirs = speeds(sealed), speeds(plain)
    held = sealed["with"][0].megabytes - sealed["without"][0].megabytes
    against = f"safetensors files outside ({spread(theirs)}): {median(theirs):.3g} MB/s; {held:.0f} MB in all"
    return Row("save checkpoints, sealed", median(ours), "MB/s", against, median(ours) / median(theirs))


def speeds(spent: Mapping[str, Sequence[Spent]]) -> list[float]:
    """MB/s of what is only saved with checkpoints, round by round. Raises Unmeasured."""
    found = []
    for more, less in zip(spent["with"], spent["without"], strict=True):
        seconds = more.seconds - less.seconds
        if seconds <= 0:
            raise Unmeasured("trainings with checkpoints took no longer than those without")
        found.append((more.megabytes - less.megabytes) / seconds)
    return found


def _sealed(ground: Ground, folder: Path) -> Spent:
    asked = recipes.request(ground, CASE, len(os.sched_getaffinity(0)), folder)
    seen = follow(ground, asked)
    with ground.gate() as gate:
        shown = gate.get(f"/v1/runs/{seen.run}")
    if seen.first is None:
        raise Unmeasured(f"run {seen.run} made no step")
    return Spent(seen.after("ended") - seen.first, sum(one["size"] for one in shown["artifacts"]) / 1e6)


def _plain(ground: Ground, folder: Path) -> Spent:
    keep, threads = ground.work / "plain", len(os.sched_getaffinity(0))
    asked = recipes.request(ground, CASE, threads, folder)
    try:
        began = time.monotonic()
        told = outside.run(
            ground, "plain", outside.order(ground, asked, keep, threads, recipes=folder), recipes.LIMIT_S
        )
        seconds = time.monotonic() - began - told.number("first_step_s")
        return Spent(seconds, sum(path.stat().st_size for path in keep.iterdir()) / 1e6)
    finally:
        shutil.rmtree(keep, ignore_errors=True)
