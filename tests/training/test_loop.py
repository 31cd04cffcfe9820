"""The loop around a made-up model with coqui's interface."""

from __future__ import annotations

from collections import Counter
from itertools import repeat
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sandbox.errors import RecipeError
from sandbox.runs import SAFETENSORS, Artifact, Metric
from sandbox.training.loop import ALIGNER_WARMUP_STEPS, GRADIENT_NORM, train
from sandbox.training.run import Run
from tests.training.toys import FakeChannel, job

STEPS = 6
LOSS = Metric("loss", 0, 1e9, 3, 2)


class Model(nn.Module):
    """One weight for each optimizer, which pulls it towards 3."""

    def __init__(self, optimizers: int = 1, steepness: float = 1.0) -> None:
        super().__init__()
        self.weights = nn.ParameterList([nn.Parameter(torch.zeros(1)) for _ in range(optimizers)])
        self.steepness = steepness
        self.asked: list[int] = []
        self.cache: Any = None  # as Vits.model_outputs_cache

    def get_criterion(self) -> str:
        return "criterion"

    def train_step(
        self, batch: Tensor, criterion: str, index: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        assert criterion == "criterion" and self.training
        self.asked.append(index)
        self.cache = batch
        return {}, {"loss": (self.steepness * (self.weights[index] - 3).square()).sum()}


def run_of(channel: FakeChannel, artifacts: tuple[Artifact, ...] = ()) -> Run:
    return Run(job(metrics=[LOSS], artifacts=artifacts), channel)


def sgd(model: Model, rate: float = 0.1) -> list[torch.optim.Optimizer]:
    return [torch.optim.SGD([weight], lr=rate) for weight in model.weights]


def loop(
    model: Model,
    run: Run,
    optimizers: list[torch.optim.Optimizer] | None = None,
    steps: int = STEPS,
    **other: Any,
) -> None:
    given = {"schedules": [], "metadata": {"shape": "small"}} | other
    train(run, model, repeat(torch.full((2,), 77.0)), optimizers or sgd(model), steps=steps, **given)


def test_the_loss_falls_and_is_logged_as_the_card_says() -> None:
    channel, model = FakeChannel(), Model()
    loop(model, run_of(channel))
    logged = channel.of("metric")
    assert [m["step"] for m in logged] == [2, 4, 6]
    assert logged[0]["value"] > logged[1]["value"] > logged[2]["value"]
    assert float(model.weights[0].detach()) > 1.0
    assert channel.of("progress")[-1]["step"] == STEPS


def test_weights_are_saved_when_they_are_due_and_what_they_were_then() -> None:
    channel, model = FakeChannel(), Model()
    artifacts = tuple(Artifact(f"m-{step}.safetensors", (step,), SAFETENSORS, 1 << 20) for step in (3, 6))
    loop(model, run_of(channel, artifacts))
    assert [(a["path"], a["step"], a["metadata"]) for a in channel.of("artifact")] == [
        (a.path, a.steps[0], {"shape": "small"}) for a in artifacts
    ]
    early, late = channel.of("tensor")
    assert early["data"] != late["data"]


def test_what_a_model_caches_is_not_saved() -> None:
    channel = FakeChannel()
    loop(Model(), run_of(channel, (Artifact("m.safetensors", (STEPS,), SAFETENSORS, 1 << 20),)))
    assert [t["name"] for t in channel.of("tensor")] == ["weights.0"]
    assert not any(torch.full((2,), 77.0).numpy().tobytes() in t["data"] for t in channel.of("tensor"))


def test_each_optimizer_takes_its_own_step() -> None:
    model = Model(optimizers=2)
    loop(model, run_of(FakeChannel()))
    assert Counter(model.asked) == {0: STEPS, 1: STEPS} and model.asked[:2] == [0, 1]
    assert model.weights[0].equal(model.weights[1]) and float(model.weights[0].detach()) > 1.0


def test_a_steep_gradient_is_cut() -> None:
    model = Model(steepness=1e6)
    loop(model, run_of(FakeChannel()), steps=1)
    assert float(model.weights[0].detach()) == pytest.approx(0.1 * GRADIENT_NORM, rel=1e-4)


def test_schedules_move_once_a_step() -> None:
    model = Model()
    optimizers = sgd(model, 1.0)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizers[0], 0.5)
    loop(model, run_of(FakeChannel()), optimizers, schedules=[schedule], steps=3)
    assert optimizers[0].param_groups[0]["lr"] == pytest.approx(0.125)


@pytest.mark.parametrize(
    ("steps", "weight"), [(30, 30 / ALIGNER_WARMUP_STEPS), (ALIGNER_WARMUP_STEPS + 5, 1.0)]
)
def test_the_aligners_weight_is_ramped_up(steps: int, weight: float) -> None:
    model = Model()
    model.binary_loss_weight = 0.0
    loop(model, run_of(FakeChannel()), steps=steps)
    assert model.binary_loss_weight == pytest.approx(weight)


def test_a_run_that_is_told_to_stop_ends_in_order() -> None:
    channel, model = FakeChannel(), Model()
    channel.hears("stop", reason="asked")
    loop(model, run_of(channel))
    assert model.asked == [0]


def test_a_loss_that_is_no_number_ends_the_run() -> None:
    with pytest.raises(RecipeError) as failed:
        loop(Model(steepness=float("nan")), run_of(FakeChannel()))
    assert failed.value.code == "recipe.metric_not_finite"
