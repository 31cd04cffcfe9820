"""A training packed and unpacked: every kind of optimizer and schedule goes on where it was, and so do generators."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim import lr_scheduler

from sandbox.errors import RecipeError
from sandbox.training.batches import Order
from sandbox.training.checkpoint import Training, pack, unpack

Make = Callable[[list[nn.Parameter]], torch.optim.Optimizer]

OPTIMIZERS = [
    pytest.param(lambda p: torch.optim.SGD(p, lr=0.1), id="no state"),
    pytest.param(lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), id="momentum"),
    pytest.param(lambda p: torch.optim.AdamW(p, lr=0.1, amsgrad=True), id="AdamW"),
    pytest.param(
        lambda p: torch.optim.RAdam([{"params": p[:1]}, {"params": p[1:], "lr": 0.01}]), id="groups"
    ),
]
SCHEDULES = [
    pytest.param(lambda o: lr_scheduler.ExponentialLR(o, 0.9), id="exponential"),
    pytest.param(lambda o: lr_scheduler.MultiStepLR(o, [3, 5], 0.1), id="milestones"),
    pytest.param(lambda o: lr_scheduler.CosineAnnealingLR(o, 10), id="cosine"),
    pytest.param(
        lambda o: lr_scheduler.SequentialLR(
            o, [lr_scheduler.LinearLR(o, 0.1, total_iters=3), lr_scheduler.ExponentialLR(o, 0.9)], [3]
        ),
        id="one after another",
    ),
]


def make(optimizer: Make, schedule: Any) -> Training:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.3)
    found = optimizer(list(model.parameters()))
    order = Order([3, 1, 2, 5, 4], 2, torch.Generator().manual_seed(1), bucket=2)
    return Training(model, [found], [schedule(found)], None, order)


def go(training: Training, steps: int) -> None:
    for _ in range(steps):
        batch = torch.tensor(next(training.order), dtype=torch.float32)  # type: ignore[call-overload]
        noise = torch.rand(3) + float(np.random.rand()) + random.random()
        training.optimizers[0].zero_grad()
        training.model(noise * batch.mean() / 20).square().sum().backward()
        training.optimizers[0].step()
        training.schedules[0].step()


def parameters(training: Training) -> list[Tensor]:
    return [p.detach().clone() for p in training.model.parameters()]


@pytest.mark.filterwarnings("ignore:Please also save or load the state of the optimizer")
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_training_goes_on_from_its_own_bytes_as_if_nothing_had_been(optimizer: Make, schedule: Any) -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    random.gauss(0, 1)  # leaves half of a pair behind, which belongs to the state
    whole = make(optimizer, schedule)
    go(whole, 4)
    tensors, header = pack(whole, 4)
    kept = save({name: tensor.contiguous() for name, tensor in tensors.items()}, header)
    go(whole, 4)
    after = torch.rand(1), np.random.rand(), random.gauss(0, 1)
    resumed = make(optimizer, schedule)
    assert unpack(resumed, load(kept), header) == 4 and bool(parameters(whole)[0].isfinite().all())
    go(resumed, 4)
    assert all(torch.equal(a, b) for a, b in zip(parameters(whole), parameters(resumed), strict=True))
    assert (torch.rand(1), np.random.rand(), random.gauss(0, 1)) == after
    assert resumed.schedules[0].get_last_lr() == whole.schedules[0].get_last_lr()


def test_what_json_cannot_say_is_not_left_out_in_silence() -> None:
    training = make(OPTIMIZERS[0].values[0], SCHEDULES[0].values[0])  # type: ignore[arg-type]
    training.schedules[0].secret = object()
    with pytest.raises(RecipeError) as refused:
        pack(training, 1)
    assert refused.value.code == "recipe.checkpoint_state"


@pytest.mark.parametrize(
    "change",
    [
        lambda t, h: t.pop("model.0.weight"),
        lambda t, h: t.pop("order.waiting"),
        lambda t, h: t.pop("random.torch"),
        lambda t, h: t.__setitem__("random.python", t["random.python"][:-4]),
        lambda t, h: h.pop("training"),
        lambda t, h: h.__setitem__("training", "{"),
        lambda t, h: h.__setitem__("training", json.dumps({**json.loads(h["training"]), "format": "2"})),
        lambda t, h: h.__setitem__("training", json.dumps({**json.loads(h["training"]), "optimizers": []})),
        lambda t, h: h.__setitem__("training", json.dumps({**json.loads(h["training"]), "schedules": []})),
    ],
    ids=["a weight", "the order", "a generator", "half a generator", "no header", "no JSON", "a format", "optimizers",
         "schedules"],
)  # fmt: skip
def test_a_checkpoint_that_lacks_something_is_refused(change: Any) -> None:
    training = make(OPTIMIZERS[1].values[0], SCHEDULES[0].values[0])  # type: ignore[arg-type]
    go(training, 1)
    tensors, header = pack(training, 1)
    change(tensors, header)
    with pytest.raises(RecipeError) as refused:
        unpack(training, tensors, header)
    assert refused.value.code == "recipe.resume_shape"
