"""A private model is attacked in the real container; the gate, which alone knows who was in, judges."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.demo.attempts import ENGINEER
from sandbox.demo.story import REVIEWERS, SUBJECTS
from sandbox.policy.membership import SCORES
from tests.e2e.running import Runs

IN = sorted(SUBJECTS.values())[:2]


@pytest.fixture(scope="module")
def model(runs: Runs) -> str:
    """A model of two of the four, trained privately for two steps; the attack looked at by two people."""
    runs.stack.must(ENGINEER, "recipe", "submit", str(runs.stage.source / "recipes" / "membership"))
    for reviewer in REVIEWERS:
        for entry in runs.stack.must(reviewer, "recipe", "list").lines:
            if entry["name"] == "membership":
                runs.stack.must(reviewer, "recipe", "approve", str(entry["name"]), str(entry["digest"]))
    made = finished(runs, "voices-dp", subjects=IN, parameters={"steps": 2, "people_per_step": 1.0})
    return str(made["model"]).replace(" v", "@")


def finished(runs: Runs, name: str, **changes: Any) -> dict[str, Any]:
    path = runs.stage.config(name, **changes)
    recipes = str(runs.stage.source / "recipes")
    started = runs.stack.must(ENGINEER, "run", str(path), "--recipes", recipes, "--detach")
    shown = runs.settled(str(started.last["run"]), limit_s=300)
    assert shown["outcome"] == "finished", shown["failure"]
    return shown


def test_an_attack_is_judged_told_and_stops_nothing_that_it_does_not_refute(runs: Runs, model: str) -> None:
    shown = finished(runs, "membership", inputs={"model": model}, parameters={"records": 1})
    assert shown["artifacts"] == [] and "spk_" not in str(shown["metrics"])
    told = runs.stack.must(ENGINEER, "privacy", "membership", model).last
    others = len(set(shown["plan"]["subjects"]) - set(IN))  # a test before this one may have erased one of the four
    assert (told["run"], told["members"], told["others"]) == (shown["id"], 2, others) and others
    assert told["claim"]["epsilon"] == 8.0 and told["lower_bound"] == 0.0 and not told["refutes"]
    assert {one["score"] for one in told["attacks"]} == set(SCORES)
    card = runs.stack.must(ENGINEER, "models", "show", model).last
    assert [one["run"] for one in card["attacks"]] == [shown["id"]] and "frozen by" not in dict(
        card["standing"]
    )
    assert runs.incidents(str(shown["id"])) == []
    runs.leaves_nothing(shown)
