"""Steps a second of each recipe: in the sandbox on sealed data, and the same loop outside on wav files.

Tiny models are where the sandbox has the least time to hide anything in; FastPitch and VITS in full size are a part of
their own (``full``): a full step of batch 4 takes 6 to 17 s of one core. The recipes are those of the clone but for
their cards, which schedule one model and no checkpoint: five of them in so few steps would be most of what is measured.
What a checkpoint costs is a row of its own (:mod:`sandbox.bench.saving`).
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.bench import bases, figures, outside, sharing
from sandbox.bench.bases import Made
from sandbox.bench.figures import Beat
from sandbox.bench.ground import Ground
from sandbox.bench.rounds import in_turns
from sandbox.bench.rows import Row, at_least
from sandbox.bench.watching import follow
from sandbox.demo.story import ENGINEER, REVIEWERS
from sandbox.runs import BASE, Request

GOAL = 0.98
BUDGET_S = 120.0  # for one recipe; a round that would not fit is not begun
LIMIT_S = 1500.0  # of one training outside; inside the run's own limit holds
LIKE = "fastpitch"  # the run file that others are asked for by
TIME, MEMORY = "40m", "8GiB"
WARM_UP = 1 / 6  # of the steps
# of a card's text, so that everything else stays as its author wrote it
_SCHEDULED = re.compile(r"  - path: checkpoint-\{step\}.*\n(    .*\n)+")
_POINTS = re.compile(r"    at: \[.*\]")


@dataclass(frozen=True)
class Case:
    """A recipe, its size, and how many steps make a figure; ``tuned`` starts from a base."""

    recipe: str
    size: str
    steps: int
    batch_size: int = 4
    memory: str = MEMORY
    tuned: bool = False

    @property
    def name(self) -> str:
        return f"{self.recipe}-{self.size}"


TINY = (
    Case("fastpitch", "tiny", 600),
    Case("fastspeech2", "tiny", 600),
    Case("glowtts", "tiny", 400),
    Case("tacotron2-ddc", "tiny", 100),
    Case("vits", "tiny", 36),
    Case("vocoder", "tiny", 100),
    Case("yourtts", "tiny", 36, tuned=True),
    Case("xtts", "tiny", 200, tuned=True),
)
FULL = (Case("fastpitch", "full", 50), Case("vits", "full", 50, memory="12GiB"))


def chosen(cases: Sequence[Case], names: Sequence[str]) -> list[Case]:
    """Those of ``names``; all of them where none is named."""
    return [case for case in cases if not names or case.name in names]


def measure(ground: Ground, rounds: int, cases: Sequence[Case]) -> list[Row]:
    """Two rows for each case, its speed and what else the processors did meanwhile; then one for all of them."""
    recipes = without_checkpoints(ground.source / "recipes", ground.work / "recipes", cases)
    folders = [recipes / case.recipe for case in cases]
    if any(case.tuned for case in cases):
        folders.append(ground.source / "recipes" / bases.RECIPE)
        bases.allow(ground)
    approve(ground, folders)
    speeds, beside = list[Row](), list[Row]()
    for case in cases:
        shares: list[float] = []
        speeds.append(row(case, _both(ground, case, recipes, rounds, shares)))
        beside.append(sharing.row(f"{case.recipe} {case.size}", shares))
    return [*(one for pair in zip(speeds, beside, strict=True) for one in pair), *together(speeds)]


def without_checkpoints(source: Path, target: Path, cases: Sequence[Case]) -> Path:
    """Copies in ``target`` whose cards keep one model, at the end, and no checkpoint before it."""
    for name in {case.recipe for case in cases}:
        shutil.copytree(source / name, target / name, dirs_exist_ok=True)
        card = target / name / "recipe.yaml"
        kept = _SCHEDULED.sub("", card.read_text(encoding="utf-8"))
        card.write_text(_POINTS.sub("    at: [1.0]", kept), encoding="utf-8")
    return target


def approve(ground: Ground, folders: Sequence[Path]) -> None:
    """Submitted by the engineer, and looked at by two people."""
    say, ask = ground.stage.house.say, ground.stage.house.ask
    names = {folder.name for folder in folders}
    for folder in sorted(set(folders)):
        say(ENGINEER, "recipe", "submit", str(folder))
    for reviewer in REVIEWERS:
        for entry in ask(reviewer, "recipe", "list").lines:
            if entry["name"] in names:
                say(reviewer, "recipe", "approve", str(entry["name"]), str(entry["digest"]))


def request(ground: Ground, case: Case, threads: int, recipes: Path | None = None, base: str = "") -> Request:
    """A run of the case, with as many cores as the training outside has."""
    changes: dict[str, Any] = {
        "recipe": case.recipe,
        "compute": {"cpus": float(threads), "memory": case.memory, "gpus": 0, "time_limit": TIME},
        "parameters": {"steps": case.steps, "size": case.size, "batch_size": case.batch_size},
    }
    if case.recipe == "xtts":
        changes["parameters"]["accumulate"] = 1
    if case.tuned:
        changes |= {"purpose": "optimise", "inputs": {BASE: base}}
    return ground.asked(LIKE, recipes, **changes)


def _both(
    ground: Ground, case: Case, recipes: Path, rounds: int, shares: list[float]
) -> dict[str, list[float]]:
    """Speeds inside and outside; to ``shares`` what everything but the trainer took of the processors, inside."""
    threads, keep = len(os.sched_getaffinity(0)), ground.work / "plain"
    made: Made | None = None
    base, inputs = "", dict[str, Path]()
    if case.tuned:
        made = bases.make(ground, case.recipe, ground.work / "bases" / case.recipe)
        base, inputs = bases.bring_in(ground, case.recipe, made), {BASE: made.plain}
    asked = request(ground, case, threads, recipes, base)

    def plain() -> list[Beat]:
        try:
            order = outside.order(ground, asked, keep, threads, recipes=recipes, inputs=inputs)
            return outside.train(ground, "plain", order, LIMIT_S)
        finally:
            shutil.rmtree(keep, ignore_errors=True)

    def sealed() -> list[Beat]:
        with sharing.watched() as looks:
            seen = follow(ground, asked)
        shares.append(sharing.share(looks, threads))
        return seen.beats

    def told(where: str, beats: list[Beat]) -> float:
        steady = figures.steady(beats, int(case.steps * WARM_UP))
        ground.say(f"  {case.name}, {where}: {steady:.3g} steps/s")
        return steady

    ways = {
        "sandbox": lambda: told("in the sandbox", sealed()),
        "plain": lambda: told("outside", plain()),
    }
    return in_turns(ways, rounds, BUDGET_S)


def together(speeds: Sequence[Row]) -> list[Row]:
    """The geometric mean of the ratios: one of them says little where two trainings of a kind differ by a tenth."""
    ratios = [one.ratio for one in speeds if one.ratio is not None]
    if len(ratios) < 2:
        return []
    mean = statistics.geometric_mean(ratios)
    told = f"geometric mean of {len(ratios)} recipes, {min(ratios):.2f}x to {max(ratios):.2f}x"
    return [Row("train any of them, sealed / same loop", mean, "x", told, mean, f">= {GOAL:g}", mean >= GOAL)]


def row(case: Case, found: dict[str, list[float]]) -> Row:
    """The median second of a training."""
    ours, plain = (figures.median(found[way]) for way in ("sandbox", "plain"))
    against = f"the same loop on wav files ({figures.spread(found['plain'])})"
    return at_least(
        f"train {case.recipe} {case.size}, sealed / same loop", ours, "steps/s", against, plain, GOAL
    )
