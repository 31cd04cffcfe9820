"""A sealed model is measured on sealed voices and has its say, on the real parts: numbers and sealed sounds leave."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sandbox.demo.attempts import ENGINEER
from sandbox.demo.story import APPROVER, REVIEWERS, SEASON
from sandbox.runs import FLAC, JSON
from tests.e2e.running import Runs

RECIPES = ("evaluate", "synthesise")


@pytest.fixture(scope="module")
def model(runs: Runs) -> str:
    """A model of a few steps, and the two recipes looked at by two people; the engineer may test, too."""
    for name in RECIPES:
        runs.stack.must(ENGINEER, "recipe", "submit", str(runs.stage.source / "recipes" / name))
    for reviewer in REVIEWERS:
        for entry in runs.stack.must(reviewer, "recipe", "list").lines:
            if entry["name"] in RECIPES:
                runs.stack.must(reviewer, "recipe", "approve", str(entry["name"]), str(entry["digest"]))
    words = ("access", "grant", ENGINEER, "--dataset", "digits", "--purpose", "test", "--purpose", "train")
    runs.stack.must(APPROVER, *words, "--purpose", "evaluate", "--until", SEASON)
    path = runs.stage.config("digits", parameters={"steps": 40, "batch_size": 4})
    return str(finished(runs, path)["model"]).replace(" v", "@")


def finished(runs: Runs, path: Any) -> dict[str, Any]:
    recipes = str(runs.stage.source / "recipes")
    started = runs.stack.must(ENGINEER, "run", str(path), "--recipes", recipes, "--detach")
    shown = runs.settled(str(started.last["run"]), limit_s=400)
    assert shown["outcome"] == "finished", shown["failure"]
    return shown


def test_a_sealed_model_is_measured_on_sealed_voices(runs: Runs, model: str) -> None:
    path = runs.stage.config("evaluate", inputs={"model": model}, parameters={"most": 6})
    shown = finished(runs, path)
    numbers = {name: points[-1]["value"] for name, points in shown["metrics"].items()}
    assert numbers["said"] + numbers["left_out"] >= 6
    for name in ("mcd_db", "duration_error", "symbol_error_ms", "speaker_similarity", "word_accuracy"):
        assert name in numbers
    assert numbers["word_accuracy_recorded"] > 0.5 and numbers["speaker_similarity_recorded"] > 0.6
    assert [(a["path"], a["media_type"]) for a in shown["artifacts"]] == [("report.json", JSON)]
    assert not re.search("spk_", str(shown["metrics"]))
    quality = runs.stack.must(ENGINEER, "models", "show", model).last["quality"]
    assert ("mcd_db", str(shown["id"])) in [(item["metric"], item["run"]) for item in quality]
    runs.leaves_nothing(shown)


def test_a_sealed_model_says_sentences_that_leave_sealed(runs: Runs, model: str) -> None:
    path = runs.stage.config(
        "synthesise", inputs={"model": model}, parameters={"sentences": "seven | twenty one"}
    )
    shown = finished(runs, path)
    assert [(a["path"], a["media_type"]) for a in shown["artifacts"]] == [
        ("audio/01.flac", FLAC), ("audio/02.flac", FLAC),
    ]  # fmt: skip
    assert [point["step"] for point in shown["metrics"]["seconds"]] == [1, 2]
    runs.leaves_nothing(shown)


def test_nobody_trains_by_a_recipe_that_was_approved_to_evaluate(runs: Runs, model: str) -> None:
    recipes = str(runs.stage.source / "recipes")
    path = runs.stage.config("evaluate", inputs={"model": model}, purpose="train")
    refused = runs.stack.ask(ENGINEER, "run", str(path), "--recipes", recipes, "--detach")
    assert refused.code != 0 and "recipe" in refused.text
