"""The programs that the bench runs outside: they train what they say they train, and say what it took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from sandbox.demo import speech
from sandbox.policy.recipe import expand
from tests.training.test_recipes import card

STEPS = 6
SOURCE = Path(__file__).parents[2]
RECIPE = SOURCE / "recipes/glowtts"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("outside")
    speech.gather_digits(made / "speech", "spk_0001")
    return made


def run(work: Path, program: str, keep: str, **inputs: Path) -> tuple[list[Any], Mapping[str, float]]:
    """What it printed of its progress, and the other numbers by name."""
    found = expand(card(RECIPE), {"steps": STEPS, "size": "tiny", "batch_size": 4, "warmup_steps": 1})
    (work / keep).mkdir()
    order = {
        "recipe": str(RECIPE), "speech": str(work / "speech"), "keep": str(work / keep), "threads": 1,
        "inputs": {name: str(path) for name, path in inputs.items()}, "started": time.time(),
        "parameters": dict(found.parameters),
        "metrics": [asdict(metric) for metric in found.metrics],
        "artifacts": [asdict(artifact) for artifact in found.artifacts],
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(SOURCE / "bench" / f"{program}.py")],
        input=json.dumps(order), capture_output=True, text=True, check=False, timeout=600,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    said = [json.loads(line) for line in done.stdout.splitlines()]
    numbers = {name: value for told in said if "step" not in told for name, value in told.items()}
    return [told for told in said if "step" in told], numbers


def test_loop_and_trainer_end_with_the_same_parameters_and_so_does_who_goes_on(work: Path) -> None:
    runs = {
        "ours": run(work, "plain", "ours"),
        "theirs": run(work, "by_trainer", "theirs"),
        "again": run(work, "plain", "again", resume=work / "ours/checkpoint-3.safetensors"),
    }
    models = {keep: load_file(work / keep / f"model-{STEPS}.safetensors") for keep in runs}
    for keep in ("theirs", "again"):
        assert all(torch.equal(tensor, models[keep][name]) for name, tensor in models["ours"].items()), keep
    for progress, numbers in runs.values():
        assert progress[-1]["step"] == STEPS
        assert numbers["peak_mb"] > 100 and 0 < numbers["first_step_s"] < 600
    assert 0 < runs["ours"][1]["waited_s"] < runs["ours"][1]["stepped_s"]
    with safe_open(work / f"ours/model-{STEPS}.safetensors", "pt") as kept:
        assert kept.metadata()["architecture"] == "glowtts"
