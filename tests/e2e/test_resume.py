"""Kill and go on, on the real parts: what a training ends with does not tell how often it was stopped on its way.

Nothing here opens a model. A recipe of the test's own is given the models and says one number: how many of their
parameters differ.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from contextlib import closing
from typing import Any

import pytest
import yaml

from sandbox.demo.attempts import ENGINEER
from sandbox.demo.story import REVIEWERS
from tests.e2e.running import Runs, children

STEPS = 200  # so many that what stops or kills a training finds it on its way, also where the gate is slow to write
SCHEDULED = (20, 60, 100, 140, 180)  # a tenth, three tenths, … of all steps, as the card says
TRAINED = {"size": "tiny", "steps": STEPS, "batch_size": 2, "warmup_steps": 1, "learning_rate": 0.002}
COMPARE = {
    "recipe.yaml": """
name: same-parameters
summary: How many parameters of a model, and of an early one of its training, differ from another's to the last bit.
purposes: [evaluate]
engine: torch
clones: false
dataset: none
inputs: [whole, resumed, early]
parameters: {}
metrics:
  compared: {min: 0, max: 1000000000, decimals: 0, every: 1}
  differing: {min: 0, max: 1000000000, decimals: 0, every: 1}
  moved: {min: 0, max: 1000000000, decimals: 0, every: 1}
artifacts: []
dp: none
""",
    "recipe.py": '''"""Three models, tensor by tensor."""

import torch


def differing(one, other):
    names = sorted(set(one) | set(other))
    return sum(one[n].numel() for n in names if n not in one or not torch.equal(one[n], other.get(n, one[n] + 1)))


def main(run):
    whole, resumed = run.input("whole").tensors, run.input("resumed").tensors
    early = {n.removeprefix("model."): t for n, t in run.input("early").tensors.items() if n.startswith("model.")}
    run.log("compared", 1, sum(tensor.numel() for tensor in whole.values()))
    run.log("differing", 1, differing(whole, resumed))
    run.log("moved", 1, differing(whole, early))
''',
}


@pytest.fixture(scope="module")
def approved(runs: Runs) -> Runs:
    """FastPitch and the recipe that compares, submitted by the engineer and looked at by two people."""
    compare = runs.stage.work / "recipes" / "same-parameters"
    compare.mkdir(parents=True)
    for name, text in COMPARE.items():
        (compare / name).write_text(text)
    folders = [runs.stage.source / "recipes" / "fastpitch", compare]
    for folder in folders:
        runs.stack.must(ENGINEER, "recipe", "submit", str(folder))
    for reviewer in REVIEWERS:
        for entry in runs.stack.must(reviewer, "recipe", "list").lines:
            if entry["name"] in [folder.name for folder in folders]:
                runs.stack.must(reviewer, "recipe", "approve", str(entry["name"]), str(entry["digest"]))
    return runs


def begin(runs: Runs, **parameters: Any) -> str:
    path = runs.stage.config("fastpitch", parameters={**TRAINED, **parameters})
    recipes = str(runs.stage.source / "recipes")
    return str(runs.stack.must(ENGINEER, "run", str(path), "--recipes", recipes, "--detach").last["run"])


def go_on(runs: Runs, run: str) -> str:
    return str(runs.stack.must(ENGINEER, "runs", "resume", run, "--detach").last["run"])


@pytest.fixture(scope="module")
def uninterrupted(approved: Runs) -> str:
    """The model of a run that nobody touched, as a request names it."""
    return model_of(finished(approved, begin(approved)))


def test_the_curves_of_a_training_stand_in_mlflow(approved: Runs, uninterrupted: str) -> None:
    found = approved.stack.must(ENGINEER, "runs", "list").lines
    (run,) = (str(entry["id"]) for entry in found if entry["model"] == uninterrupted.replace("@", " v"))
    said = approved.show(run)["metrics"]
    assert set(said) == {"loss", "grad_norm", "left_out"} and len(said["loss"]) == STEPS == len(
        said["grad_norm"]
    )
    database = f"file:{approved.stack.places.mlflow / 'mlflow.db'}?mode=ro"
    with closing(sqlite3.connect(database, uri=True, timeout=10)) as connection:
        rows = connection.execute(
            "SELECT m.key, m.step, m.value FROM metrics m JOIN tags t ON t.run_uuid = m.run_uuid "
            "WHERE t.key = 'gov.run' AND t.value = ? ORDER BY m.step",
            (run,),
        ).fetchall()
    for name, points in said.items():
        assert [(step, value) for key, step, value in rows if key == name] == [
            (point["step"], point["value"]) for point in points
        ]


def finished(runs: Runs, run: str) -> dict[str, Any]:
    shown = runs.settled(run, limit_s=300)
    assert shown["outcome"] == "finished", shown["failure"]
    return shown


def model_of(shown: dict[str, Any]) -> str:
    return str(shown["model"]).replace(" v", "@")


def same(runs: Runs, whole: str, resumed: str, early: str) -> bool:
    """Whether two models have the same parameters. ``early``, a checkpoint, has others: the comparison can see it."""
    asked = yaml.safe_load((runs.stage.source / "configs/runs/digits-evaluate.yaml").read_text())
    inputs = {"whole": whole, "resumed": resumed, "early": early}
    path = runs.stage.work / "runs" / "same-parameters.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(asked | {"recipe": "same-parameters", "inputs": inputs}, sort_keys=False))
    recipes = str(runs.stage.work / "recipes")
    started = runs.stack.must(ENGINEER, "run", str(path), "--recipes", recipes, "--detach")
    said = finished(runs, str(started.last["run"]))["metrics"]
    compared, differing, moved = (int(said[name][0]["value"]) for name in ("compared", "differing", "moved"))
    assert compared > moved > 100_000  # all that is trained; the rest are constants of positions
    return differing == 0


def kill_after(runs: Runs, run: str, step: int) -> dict[str, Any]:
    """SIGKILL the container as soon as the checkpoint of ``step`` has arrived whole."""
    row = runs.until(run, "training")
    end = time.monotonic() + 240
    while step not in _checkpoints(runs, run) and time.monotonic() < end:
        time.sleep(0.002)
    os.kill(int(row["pid"]), signal.SIGKILL)
    return runs.settled(run, limit_s=300)


def _checkpoints(runs: Runs, run: str) -> list[int]:
    """The steps of the checkpoints that the gate has whole."""
    return [
        int(row["step"])
        for row in runs.artifacts(run)
        if row["path"].startswith("checkpoint") and row["state"] in ("stored", "signed")
    ]


def test_killed_at_five_points_and_gone_on_with_it_is_the_same_model(
    approved: Runs, uninterrupted: str
) -> None:
    began = run = begin(approved)
    for step in SCHEDULED:
        shown = kill_after(approved, run, step)
        assert (shown["outcome"], shown["failure"]) == ("failed", "keeper.gone") and shown["model"] is None
        signed = [a["step"] for a in shown["artifacts"] if a["state"] == "signed"]
        assert signed and max(signed) >= step  # its checkpoints, and nothing else
        approved.leaves_nothing(shown)
        run = go_on(approved, run)
        given = json.loads(approved.row(run)["plan"])["inputs"]
        assert [item["run"] for item in given] == [shown["id"]]
    shown = finished(approved, run)
    first = min(point["step"] for point in shown["metrics"]["loss"])
    assert SCHEDULED[-1] < first <= STEPS  # it went on, it did not begin anew
    assert same(approved, uninterrupted, model_of(shown), f"{began}@{SCHEDULED[0]}")
    approved.leaves_nothing(shown)


def test_stopped_in_order_while_the_gate_is_restarted_and_gone_on_with_it_is_the_same_model(
    approved: Runs, uninterrupted: str
) -> None:
    run = begin(approved)
    row = approved.until(run, "training")
    (trainer,) = children(int(row["pid"]))
    while not approved.row(run)["points"]:
        time.sleep(0.01)
    os.kill(trainer, signal.SIGSTOP)  # so that it does not end before the gate is back
    approved.stack.must(ENGINEER, "runs", "stop", run)
    before = approved.stack.until_ready("gate")
    os.kill(before, signal.SIGKILL)
    approved.stack.until_ready("gate", other_than=before)
    os.kill(trainer, signal.SIGCONT)
    shown = finished(approved, run)
    assert shown["model"] is None and {a["state"] for a in shown["artifacts"]} == {"signed"}
    assert 0 < len(shown["metrics"]["loss"]) < STEPS
    again = finished(approved, go_on(approved, run))
    left = max(a["step"] for a in shown["artifacts"] if a["path"].startswith("checkpoint"))
    assert same(approved, uninterrupted, model_of(again), f"{run}@{left}")


def test_a_machine_that_wants_its_place_back_is_left_with_a_checkpoint_in_order(approved: Runs) -> None:
    run = begin(approved, steps=10_000)  # so that the checkpoint in the end is none of the scheduled ones
    row = approved.until(run, "training")
    while not approved.row(run)["points"]:
        time.sleep(0.01)
    os.kill(int(row["pid"]), signal.SIGTERM)
    shown = finished(approved, run)
    assert {a["state"] for a in shown["artifacts"]} == {"signed"}
    (left,) = (a["step"] for a in shown["artifacts"] if a["path"] == "checkpoint.safetensors")
    assert 0 < left < 10_000  # it may be the first step already, of which a run of so many tells no loss
