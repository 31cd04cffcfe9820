"""Models and runs at the terminal: a card as it is told, and what differs between two runs."""

from __future__ import annotations

import json

import httpx
import pytest

from sandbox.cli.runs_compare import BARS, spark
from tests.cli.conftest import Gate, Sandbox

CARD = {
    "model": "digits@1",
    "run": "r-2345",
    "made_at": "2026-11-24T12:00:00Z",
    "data": [["people", "1, each of whom had consented"]],
    "people": 1,
    "training": [["recipe", "digits"]],
    "privacy": "Trained without differential privacy.",
    "limits": ["A voice model is never anonymous."],
    "standing": [["release", "denied"], ["tainted", "erased spk_aa"]],
    "quality": [{"run": "r-6789", "purpose": "evaluate", "metric": "heard", "value": 20.0, "step": 0}],
    "text": "# digits v1",
}


def test_a_card_is_told_with_its_quality_and_standing(gate: Gate, sandbox: Sandbox) -> None:
    gate.answers["GET", "/v1/models/digits@1/card"] = httpx.Response(200, json=CARD)
    said = sandbox("models", "show", "digits@1")
    assert said.code == 0, said.err
    for part in ("erased spk_aa", "Trained without", "heard", "20", "evaluate", "r-6789", "never anonymous"):
        assert part in said.out
    assert sandbox("models", "show", "digits@1", "--markdown").out == "# digits v1\n"
    assert json.loads(sandbox("--json", "models", "show", "digits@1").out) == CARD


def test_models_are_listed_with_what_keeps_them_from_being_used(gate: Gate, sandbox: Sandbox) -> None:
    row = {"name": "digits", "run": "r-2345", "at": "2026-11-24T12:00:00Z", "taint": None, "withdrawn": ""}
    items = [{**row, "version": 1}, {**row, "version": 2, "withdrawn": "digits/spk_aa"}]
    gate.answers["GET", "/v1/models"] = httpx.Response(200, json={"items": items, "next": ""})
    lines = sandbox("models", "list").out.splitlines()
    assert lines[1].startswith("digits@1") and lines[1].rstrip().endswith("confidential, release denied")
    assert lines[2].rstrip().endswith("consent withdrawn: digits/spk_aa")


def run(name: str, **changes: object) -> dict[str, object]:
    plan = {
        "recipe": "digits",
        "recipe_digest": "c" * 64,
        "purpose": "train",
        "dataset": "digits",
        "manifest_digest": "b" * 64,
        "agreement": "dsa-2026-0001",
        "image_id": "d" * 64,
        "subjects": ["spk_aa"],
        "inputs": [],
        "parameters": {"steps": 100, "batch_size": 8},
        "privacy": None,
    }
    points = [{"step": n, "value": 5.0 - n} for n in range(5)]
    found = {"id": name, "state": "settled", "outcome": "finished", "failure": None, "epsilon": None}
    return {**found, "plan": {**plan, **changes}, "metrics": {"loss": points}}


@pytest.fixture
def two(gate: Gate) -> Gate:
    others = {"parameters": {"steps": 100, "batch_size": 16}, "privacy": {"epsilon": 8.0}}
    for name, changes in (("r-2345", {}), ("r-6789", others)):
        gate.answers["GET", f"/v1/runs/{name}"] = httpx.Response(200, json=run(name, **changes))
    return gate


def test_what_differs_is_shown_and_what_is_the_same_is_not(two: Gate, sandbox: Sandbox) -> None:
    said = sandbox("runs", "compare", "r-2345", "r-6789")
    assert said.code == 0, said.err
    rows = {line.split()[0]: line.split()[1:] for line in said.out.splitlines() if line.strip()}
    assert rows["parameters.batch_size"] == ["8", "16"] and rows["privacy.epsilon"] == ["8.0"]
    assert "parameters.steps" not in rows and "recipe" not in rows
    assert "recipe " in sandbox("runs", "compare", "r-2345", "r-6789", "--all").out
    assert said.out.count("1 at 4") == 2


def test_comparing_takes_two(two: Gate, sandbox: Sandbox) -> None:
    assert sandbox("runs", "compare", "r-2345").code == 2
    assert sandbox("runs", "compare", "r-2345", "r-2345").code == 2


def test_a_curve_falls_as_its_points_do_and_is_never_wider_than_asked() -> None:
    falling = spark([{"step": n, "value": 8 - n} for n in range(8)])
    assert falling == BARS[::-1]
    assert len(spark([{"step": n, "value": n} for n in range(1000)], 24)) <= 24
    assert spark([{"step": 0, "value": 3.0}] * 4) == BARS[0] * 4
