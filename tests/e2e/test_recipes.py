"""Coqui's models, tiny, train in the real container on real sealed speech, through phonemes, to a sealed model."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.demo.attempts import ENGINEER
from sandbox.demo.story import REVIEWERS
from tests.e2e.running import Runs

TINY: dict[str, dict[str, Any]] = {
    "fastpitch": {"steps": 6, "batch_size": 4, "warmup_steps": 1, "learning_rate": 0.002},
    "glowtts": {"steps": 12, "batch_size": 4, "warmup_steps": 1, "learning_rate": 0.002},
    "vits": {"steps": 12, "batch_size": 2},
}  # which recordings are in the first batch is drawn anew at each sealing: the loss has time to fall below it


@pytest.fixture(scope="module")
def approved(runs: Runs) -> Runs:
    """The recipes submitted by the engineer, and looked at by two people."""
    for name in TINY:
        runs.stack.must(ENGINEER, "recipe", "submit", str(runs.stage.source / "recipes" / name))
    for reviewer in REVIEWERS:
        for entry in runs.stack.must(reviewer, "recipe", "list").lines:
            if entry["name"] in TINY:
                runs.stack.must(reviewer, "recipe", "approve", str(entry["name"]), str(entry["digest"]))
    return runs


@pytest.mark.parametrize("name", TINY)
def test_a_model_trains_on_sealed_speech_and_is_sealed(approved: Runs, name: str) -> None:
    path = approved.stage.config(name, parameters={"size": "tiny", **TINY[name]})
    recipes = str(approved.stage.source / "recipes")
    started = approved.stack.must(ENGINEER, "run", str(path), "--recipes", recipes, "--detach")
    shown = approved.settled(str(started.last["run"]))
    assert shown["outcome"] == "finished", shown["failure"]
    losses = [point["value"] for point in shown["metrics"]["loss"]]
    assert len(losses) == TINY[name]["steps"] and min(losses[1:]) < losses[0]
    assert shown["metrics"]["left_out"][0]["value"] == 0
    assert {item["state"] for item in shown["artifacts"]} == {"signed"} and shown["model"]
    approved.leaves_nothing(shown)
