"""``run``: the job it is made of, and what a recipe may hand out, against a channel that is two lists."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from sandbox.errors import FrameError, RecipeError
from sandbox.runs import FLAC, JSON, SAFETENSORS, Artifact, Metric
from sandbox.training.run import Job, Run
from tests.training.toys import FakeChannel, job


@pytest.fixture
def channel() -> FakeChannel:
    return FakeChannel()


def refusal(error: pytest.ExceptionInfo[RecipeError]) -> str:
    return error.value.code


# Numbers


def test_a_metric_that_is_not_declared_is_refused(channel: FakeChannel) -> None:
    run = Run(job(metrics=[Metric("loss", 0, 1, 3)]), channel)
    with pytest.raises(RecipeError) as refused:
        run.log("pitch_of_spk_0001", 1, 0.5)
    assert refusal(refused) == "recipe.metric_undeclared" and channel.said == []
    assert run.declares("loss") and not run.declares("pitch_of_spk_0001")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), torch.tensor(-float("inf"))], ids=str)
def test_a_metric_that_is_no_number_is_refused(channel: FakeChannel, value: Any) -> None:
    with pytest.raises(RecipeError) as refused:
        Run(job(metrics=[Metric("loss", 0, 1, 3)]), channel).log("loss", 1, value)
    assert refusal(refused) == "recipe.metric_not_finite" and channel.said == []


@pytest.mark.parametrize(("every", "steps"), [(1, [0, 1, 2, 3, 4, 5, 6]), (3, [0, 3, 6]), (10, [0])])
def test_points_leave_at_the_cards_pace(channel: FakeChannel, every: int, steps: list[int]) -> None:
    run = Run(job(metrics=[Metric("loss", 0, 1, 3, every)]), channel)
    for step in range(7):
        run.log("loss", step, torch.tensor(0.25))
    assert [(m["step"], m["value"]) for m in channel.of("metric")] == [(step, 0.25) for step in steps]


def test_a_run_of_a_month_says_no_more_progress_than_the_gate_takes(
    channel: FakeChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("sandbox.training.run.time.monotonic", lambda: now[0])
    run, steps = Run(job(), channel), 30 * 24 * 3600 // 10
    for step in range(1, steps + 1):
        now[0] += 10.0
        run.progress(step, steps)
    told = channel.of("progress")
    assert 10_000 < len(told) < 100_000 and told[-1]["step"] == steps


def test_progress_is_told_rarely_and_at_the_end(channel: FakeChannel) -> None:
    run = Run(job(), channel)
    for step in range(1, 1001):
        run.progress(step, 1000)
    told = [p["step"] for p in channel.of("progress")]
    assert told[0] == 1 and told[-1] == 1000 and len(told) < 20


# Files


ARTIFACTS = [
    Artifact("m-2.safetensors", (2,), SAFETENSORS, 1 << 20),
    Artifact("m-4.safetensors", (4,), SAFETENSORS, 1 << 20),
    Artifact("both.safetensors", (2, 4), SAFETENSORS, 1 << 20),
    Artifact("report.json", (4,), JSON, 1 << 20),
    Artifact("seven.flac", (), FLAC, 1 << 20),
]


@pytest.mark.parametrize(
    ("step", "media_type", "paths"),
    [
        (1, SAFETENSORS, []),
        (2, SAFETENSORS, ["m-2.safetensors", "both.safetensors"]),
        (4, SAFETENSORS, ["m-4.safetensors", "both.safetensors"]),
        (4, JSON, ["report.json"]),
        (4, FLAC, []),
    ],
)
def test_what_is_due_is_what_the_grant_schedules(
    channel: FakeChannel, step: int, media_type: str, paths: list[str]
) -> None:
    assert Run(job(artifacts=ARTIFACTS), channel).due(step, media_type) == paths


def attempts(run: Run) -> dict[str, Any]:
    return {
        "another path": lambda: run.save("voices.safetensors", 2, {}),
        "another kind": lambda: run.save("report.json", 4, {}),
        "sound as a report": lambda: run.save_json("seven.flac", 4, {}),
        "a report as sound": lambda: run.save_audio("report.json", 4, np.zeros(4), 16_000),
    }


@pytest.mark.parametrize(
    "attempt", ["another path", "another kind", "sound as a report", "a report as sound"]
)
def test_an_artifact_that_is_not_declared_is_refused(channel: FakeChannel, attempt: str) -> None:
    with pytest.raises(RecipeError) as refused:
        attempts(Run(job(artifacts=ARTIFACTS), channel))[attempt]()
    assert refusal(refused) == "recipe.artifact_undeclared" and channel.said == []


def test_an_artifact_is_refused_at_a_step_of_its_own_choice(channel: FakeChannel) -> None:
    with pytest.raises(RecipeError) as refused:
        Run(job(artifacts=ARTIFACTS), channel).save("m-2.safetensors", 3, {"w": torch.zeros(1)})
    assert refusal(refused) == "recipe.artifact_not_due" and channel.said == []


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6, dtype=torch.float32).reshape(2, 3),
        torch.arange(6, dtype=torch.float32).reshape(2, 3).T,
        torch.tensor(7.5),
        torch.zeros(0, 4),
        torch.tensor([1, 2], dtype=torch.int64),
        torch.tensor([True, False]),
        torch.ones(2, requires_grad=True),
        np.arange(3, dtype=">f4"),
    ],
    ids=["matrix", "transposed", "scalar", "empty", "integers", "booleans", "parameter", "big-endian"],
)
def test_a_tensor_leaves_with_its_shape_and_values(channel: FakeChannel, tensor: Any) -> None:
    Run(job(artifacts=ARTIFACTS), channel).save("m-2.safetensors", 2, {"w": tensor})
    (sent,) = channel.of("tensor")
    expected = tensor.detach().numpy() if isinstance(tensor, torch.Tensor) else tensor
    assert sent["shape"] == list(expected.shape)
    found = np.frombuffer(sent["data"], np.dtype(sent["dtype"]).newbyteorder("<")).reshape(sent["shape"])
    assert (found == expected).all()


def test_sound_is_cut_to_what_flac_holds(channel: FakeChannel) -> None:
    Run(job(artifacts=ARTIFACTS), channel).save_audio("seven.flac", 9, torch.tensor([-3.0, 0.5, 3.0]), 16_000)
    (sent,) = channel.of("sound")
    assert np.frombuffer(sent["audio"], "<f4").tolist() == [-1.0, 0.5, 1.0]


def test_a_report_holds_no_infinity(channel: FakeChannel) -> None:
    run = Run(job(artifacts=ARTIFACTS), channel)
    with pytest.raises(ValueError, match="Out of range"):
        run.save_json("report.json", 4, {"loss": float("inf")})
    run.save_json("report.json", 4, {"b": 1, "a": [None, "é"]})
    assert json.loads(channel.of("report")[0]["data"]) == {"a": [None, "é"], "b": 1}


def test_what_may_be_saved_is_what_the_grant_lists(channel: FakeChannel) -> None:
    run = Run(job(artifacts=ARTIFACTS), channel)
    assert run.may_save("seven.flac") and not run.may_save("speech.flac")


# The job


JOB: dict[str, Any] = {
    "purpose": "train", "kind": "run", "parameters": {}, "privacy": None, "metrics": [], "artifacts": [], "inputs": [],
    "records": [],
}  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"metrics": [{"name": "loss"}]},
        {"metrics": [{"name": "loss", "min": 0, "max": 1, "decimals": 1, "secret": 1}]},
        {"artifacts": [{"path": "x"}]},
        {"records": [{"record": "r1"}]},
        {"privacy": {"epsilon": 1.0}},
        {"inputs": [{"digest": "x"}]},
    ],
    ids=lambda value: next(iter(value)),
)
def test_a_job_with_other_fields_is_refused(wrong: dict[str, Any]) -> None:
    assert Job.from_body(JOB).records == ()
    with pytest.raises(FrameError):
        Job.from_body(JOB | wrong)
