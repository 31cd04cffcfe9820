"""What ``yourtts`` and ``xtts`` start from: a tiny random model, published as a training outside would, brought in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sandbox.bench import outside
from sandbox.bench.figures import Unmeasured
from sandbox.bench.ground import DATASET, Ground
from sandbox.bench.outside import Place
from sandbox.demo import story

PAPERS = ("--licence", "LicenseRef-None", "--source", "https://example.org/random-numbers.pth")
RECIPE = "import-base"


@dataclass(frozen=True)
class Made:
    """One base twice: as it was published, and as a plain file for the loop outside."""

    published: Path
    plain: Path


def make(place: Place, model: str, folder: Path) -> Made:
    """Random weights of the tiny model, in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    outside.printed(place, "small_bases", model, str(folder))
    return Made(folder / "model.pth", folder / "base.safetensors")


def allow(ground: Ground) -> None:
    """Tuning a base is a purpose of its own."""
    words = ("--dataset", DATASET, "--purpose", "optimise", "--until", story.SEASON)
    ground.stage.house.say(story.APPROVER, "access", "grant", story.ENGINEER, *words)


def bring_in(ground: Ground, model: str, made: Made) -> str:
    """Import it in a container without data; its name and version, as a run's input names it. Raises Unmeasured."""
    words = ("--model", model, *PAPERS, "--agreement", story.AGREEMENT)
    recipes = ("--recipes", str(ground.source / "recipes"))
    house = ground.stage.house
    told = house.ask(story.ENGINEER, "recipe", "import-base", str(made.published), *words, *recipes)
    brought = [line["model"] for line in told.lines if line.get("state") == "settled" and line.get("model")]
    if told.code or not brought:
        raise Unmeasured(f"the base of {model} was not brought in: {' '.join(told.reasons())}")
    name, _, version = str(brought[-1]).rpartition(" v")
    return f"{name}@{version}"
