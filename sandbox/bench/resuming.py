"""A training that goes on from a checkpoint, against one that never stopped: do they end with the same parameters?"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from sandbox.bench import outside
from sandbox.bench.figures import Unmeasured
from sandbox.bench.outside import Outdoors
from sandbox.bench.rows import Row, at_most
from sandbox.runs import RESUME, is_checkpoint

RECIPES = ("fastpitch", "glowtts")
STEPS = 20


def measure(place: Outdoors, recipes: tuple[str, ...] = RECIPES) -> list[Row]:
    """A row for each recipe, tiny."""
    return [_row(place, recipe) for recipe in recipes]


def _row(place: Outdoors, recipe: str) -> Row:
    whole, again, threads = place.work / "whole", place.work / "again", len(os.sched_getaffinity(0))
    parameters = {"steps": STEPS, "size": "tiny", "batch_size": 4}
    try:
        outside.run(place, "plain", outside.asked(place, recipe, parameters, whole, threads))
        points = sorted((p for p in whole.iterdir() if is_checkpoint(p.name)), key=lambda p: len(p.name))
        differing = tensors = 0
        for point in points:
            shutil.rmtree(again, ignore_errors=True)
            given = outside.asked(place, recipe, parameters, again, threads, {RESUME: point})
            outside.run(place, "plain", given)
            found, wanted = _model(again), _model(whole)
            differing, tensors = differing + differ(found, wanted), tensors + len(wanted)
    finally:
        shutil.rmtree(whole, ignore_errors=True)
        shutil.rmtree(again, ignore_errors=True)
    if not points:
        raise Unmeasured(f"recipe {recipe} saved no checkpoint to go on from")
    told = f"one that never stopped; from {len(points)} checkpoints, {tensors} tensors held to it"
    return at_most(f"{recipe} tiny, resumed", differing, "tensors differ", 0, told)


def differ(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> int:
    """How many tensors are not the same in every bit, or are on one side only."""
    return sum(
        name not in found
        or name not in wanted
        or found[name].dtype != wanted[name].dtype
        or not np.array_equal(found[name], wanted[name])
        for name in found.keys() | wanted.keys()
    )


def _model(folder: Path) -> Mapping[str, Any]:
    """The last model. Raises Unmeasured."""
    path = folder / f"model-{STEPS}.safetensors"
    if not path.is_file():
        raise Unmeasured("a training outside left no model")
    tensors: Mapping[str, Any] = load_file(path)
    return tensors
