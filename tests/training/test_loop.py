"""The loop around a made-up model with coqui's interface."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sandbox.errors import RecipeError
from sandbox.runs import SAFETENSORS, Artifact, Metric
from sandbox.training.ema import Average
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


@pytest.mark.parametrize("optimizers", [1, 2])
def test_a_loss_that_is_no_number_ends_the_run_before_a_weight_moves(optimizers: int) -> None:
    model = Model(optimizers, steepness=float("nan"))
    with pytest.raises(RecipeError) as failed:
        loop(model, run_of(FakeChannel()))
    assert failed.value.code == "recipe.loss_not_finite"
    assert [float(weight.detach()) for weight in model.weights] == [0.0] * optimizers


def test_a_gradient_that_is_no_number_ends_the_run_though_the_loss_is_one() -> None:
    model = Model()

    class Steep(torch.autograd.Function):
        @staticmethod
        def forward(_: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(_: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
            return grad * float("inf")

    model.train_step = lambda *_: ({}, {"loss": Steep.apply(model.weights[0]).sum()})  # type: ignore[method-assign]
    with pytest.raises(RecipeError) as failed:
        loop(model, run_of(FakeChannel()))
    assert failed.value.code == "recipe.loss_not_finite"
    assert float(model.weights[0].detach()) == 0.0


@pytest.mark.parametrize(
    "fault",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] . DefaultCPUAllocator: can't allocate memory: 1"),
    ],
    ids=["device", "python", "host"],
)
def test_a_batch_that_finds_no_memory_is_told_by_its_own_code(fault: Exception) -> None:
    model = Model()

    def hungry(*_: Any) -> Any:
        raise fault

    model.train_step = hungry  # type: ignore[method-assign]
    with pytest.raises(RecipeError) as failed:
        loop(model, run_of(FakeChannel()))
    assert failed.value.code == "recipe.out_of_memory"


def test_another_fault_of_a_model_is_not_taken_for_a_lack_of_memory() -> None:
    model = Model()

    def wrong(*_: Any) -> Any:
        raise RuntimeError("shapes do not fit")

    model.train_step = wrong  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="shapes"):
        loop(model, run_of(FakeChannel()))


# Several batches a step, bfloat16, an average, the same bits


class Regression(nn.Module):
    """Least squares on batches of rows [B, 3]: the last column is to be guessed."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)
        nn.init.constant_(self.layer.weight, 0.5)
        nn.init.constant_(self.layer.bias, 0.1)
        self.seen: list[tuple[torch.dtype, bool]] = []

    def get_criterion(self) -> str:
        return "criterion"

    def train_step(self, batch: Tensor, _: str, __: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        guessed = self.layer(batch[:, :2])
        self.seen.append((guessed.dtype, torch.are_deterministic_algorithms_enabled()))
        return {}, {"loss": (guessed.float() - batch[:, 2:]).square().mean()}


def regression(batches: list[Tensor], **other: Any) -> tuple[Regression, FakeChannel]:
    model, channel = Regression(), FakeChannel()
    found = Run(job(metrics=[Metric("loss", 0, 1e9, 6, 1)], artifacts=other.pop("artifacts", ())), channel)
    adam = torch.optim.Adam(model.parameters(), lr=0.05)
    steps = len(batches) // other.get("accumulate", 1)
    train(found, model, iter(batches), [adam], [], steps=steps, metadata={}, **other)
    return model, channel


def rows(count: int) -> Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("k", [2, 4])
def test_several_small_batches_make_one_step_of_a_big_one(k: int) -> None:
    big = list(rows(40).split(8))
    small = [micro for batch in big for micro in batch.split(8 // k)]
    (one, told), (many, told_too) = regression(big), regression(small, accumulate=k)
    for a, b in zip(one.parameters(), many.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    losses = [[m["value"] for m in channel.of("metric")] for channel in (told, told_too)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) and len(losses[0]) == 5


def test_a_model_whose_optimizers_share_a_forward_pass_takes_one_batch_a_step() -> None:
    model = Model(optimizers=2)
    model.model_outputs_cache = None
    with pytest.raises(RecipeError) as refused:
        loop(model, run_of(FakeChannel()), accumulate=2)
    assert refused.value.code == "recipe.accumulation" and model.asked == []


def test_half_precision_is_for_arithmetic_alone() -> None:
    model, _ = regression(list(rows(40).split(8)), mixed=True)
    plain, _ = regression(list(rows(40).split(8)))
    assert {dtype for dtype, _ in model.seen} == {torch.bfloat16}
    assert {dtype for dtype, _ in plain.seen} == {torch.float32}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    for a, b in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0.05, atol=0.05)
        assert not torch.equal(a, b)


def test_the_gradients_length_may_be_set() -> None:
    model = Model(steepness=1e6)
    loop(model, run_of(FakeChannel()), steps=1, clip=0.5)
    assert float(model.weights[0].detach()) == pytest.approx(0.05, rel=1e-4)


def test_where_there_is_an_average_it_is_what_is_saved() -> None:
    model = Model()
    average = Average(model, 0.5)
    channel = FakeChannel()
    loop(model, run_of(channel, (Artifact("m.safetensors", (1,), SAFETENSORS, 1 << 20),)), average=average)
    (saved,) = channel.of("tensor")
    assert np.frombuffer(saved["data"], "<f4")[0] == pytest.approx(
        0.5 * 0.1 * 5.0
    )  # half of the cut first step


@pytest.mark.parametrize("asked", [True, False])
def test_the_same_bits_are_asked_of_every_operation_when_they_are_asked_for(asked: bool) -> None:
    model, _ = regression(list(rows(16).split(8)), deterministic=asked)
    assert [told for _, told in model.seen] == [asked, asked]
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("declared", [True, False])
def test_how_long_the_gradient_was_is_logged_where_the_card_declares_it(declared: bool) -> None:
    channel = FakeChannel()
    metrics = [LOSS, Metric("grad_norm", 0, 1e9, 3, 3)] if declared else [LOSS]
    loop(Model(steepness=1e3), Run(job(metrics=metrics), channel))
    found = [(m["step"], m["value"]) for m in channel.of("metric") if m["name"] == "grad_norm"]
    assert [step for step, _ in found] == ([3, 6] if declared else [])
    assert all(value > GRADIENT_NORM for _, value in found)  # before it was cut


def test_the_time_that_was_waited_for_batches_can_be_told_from_the_time_of_the_steps() -> None:
    def slowly() -> Iterator[Tensor]:
        while True:
            time.sleep(0.02)
            yield torch.zeros(2)

    model = Model()
    found = train(run_of(FakeChannel()), model, slowly(), sgd(model), [], steps=5, metadata={})
    assert 5 * 0.02 <= found.waited_s < found.whole_s
    quick = train(run_of(FakeChannel()), model, repeat(torch.zeros(2)), sgd(model), [], steps=5, metadata={})
    assert 0 < quick.waited_s < 5 * 0.02 <= found.waited_s


def test_nothing_of_ours_is_compiled_while_it_runs() -> None:
    """``torch.compile`` writes kernels to disk and starts a compiler; ``test_leaks`` looks at run time."""
    root = Path(__file__).parents[2]
    sources = [*root.glob("sandbox/training/*.py"), *root.glob("recipes/*/*.py")]
    assert len(sources) > 20
    assert [s.name for s in sources if re.search(r"torch\.compile\(", s.read_text())] == []


def test_an_operation_that_cannot_give_the_same_bits_is_told_as_such() -> None:
    model = Model()

    def puts(*given: Any) -> Any:
        torch.zeros(3).put_(torch.tensor([0]), torch.tensor([1.0]))  # which of two would win is not said
        return {}, {"loss": model.weights[0].sum()}

    model.train_step = puts  # type: ignore[method-assign]
    loop(model, run_of(FakeChannel()), steps=1)
    with pytest.raises(RecipeError) as failed:
        loop(model, run_of(FakeChannel()), steps=1, deterministic=True)
    assert failed.value.code == "recipe.not_deterministic"
