"""All of a training in one artifact, and back: going on from it ends with the parameters of one that never stopped.

Safetensors only, nothing is pickled. Tensors by name: ``model.…``, ``optimizer.<n>.<parameter>.<key>``, ``average.…``,
``order.…``, and ``random.…``, the states of the generators as uint8. Everything else is JSON in the header, under
``training``. The keeper seals it like every artifact, and whoever goes on from it inherits its lineage and its labels.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sandbox.errors import RecipeError
from sandbox.training.batches import Order
from sandbox.training.ema import Average

FORMAT = "training/1"


@dataclass(frozen=True)
class Training:
    """Whatever changes from step to step."""

    model: nn.Module
    optimizers: Sequence[torch.optim.Optimizer]
    schedules: Sequence[Any]  # of torch.optim.lr_scheduler
    average: Average | None = None
    order: Order | None = None


def pack(training: Training, step: int) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name, and the header, after ``step``.

    Raises RecipeError where a schedule or an optimizer keeps what JSON cannot say.
    """
    tensors = {f"model.{name}": tensor for name, tensor in training.model.state_dict().items()}
    tensors |= _randomness()
    told: dict[str, Any] = {"format": FORMAT, "step": step, "optimizers": []}
    for index, optimizer in enumerate(training.optimizers):
        state, scalars = optimizer.state_dict(), dict[str, dict[str, Any]]()
        for parameter, kept in state["state"].items():
            for key, value in kept.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{index}.{parameter}.{key}"] = value
                else:
                    scalars.setdefault(str(parameter), {})[key] = value
        groups = [{**group, "params": len(group["params"])} for group in state["param_groups"]]
        told["optimizers"].append({"groups": groups, "scalars": scalars})
    told["schedules"] = [_plain(schedule.state_dict()) for schedule in training.schedules]
    told["python"] = random.getstate()[2]
    told["numpy"] = list(_numpy()[2:])
    if training.average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in training.average.state_dict().items()}
    if training.order is not None:
        tensors |= {f"order.{name}": tensor for name, tensor in training.order.state().items()}
    try:
        return tensors, {"training": json.dumps(told)}
    except TypeError:
        raise RecipeError("the training keeps what JSON cannot say", code="recipe.checkpoint_state") from None


def unpack(training: Training, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> int:
    """Bring ``training`` to where the checkpoint was made; the step. Generators last: nothing here draws from them.

    Raises RecipeError: it is no checkpoint, or one of another model, other optimizers or other data.
    """
    try:
        told = json.loads(metadata["training"])
        if told["format"] != FORMAT or len(told["optimizers"]) != len(training.optimizers):
            raise ValueError
        training.model.load_state_dict(_under("model.", tensors))
        for index, (optimizer, kept) in enumerate(zip(training.optimizers, told["optimizers"], strict=True)):
            optimizer.load_state_dict(_optimizer(_under(f"optimizer.{index}.", tensors), kept))
        for schedule, state in zip(training.schedules, told["schedules"], strict=True):
            schedule.load_state_dict(_lively(state))
        if training.average is not None:
            training.average.load_state_dict(_under("average.", tensors))
        if training.order is not None:
            training.order.restore(_under("order.", tensors))
        _restore_randomness(tensors, told)
        return int(told["step"])
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError):
        raise RecipeError("the input is no checkpoint of this training", code="recipe.resume_shape") from None


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _optimizer(tensors: Mapping[str, Tensor], kept: Mapping[str, Any]) -> dict[str, Any]:
    """As ``Optimizer.state_dict`` says it: parameters are counted through over all groups."""
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        parameter, _, key = name.partition(".")
        state.setdefault(int(parameter), {})[key] = tensor
    for parameter, scalars in kept["scalars"].items():
        state.setdefault(int(parameter), {}).update(scalars)
    groups, first = [], 0
    for group in kept["groups"]:
        groups.append({**group, "params": list(range(first, first + group["params"]))})
        first += group["params"]
    return {"state": state, "param_groups": groups}


def _randomness() -> dict[str, Tensor]:
    """The states of every generator that a model may draw from, as uint8."""
    found = {"random.torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        found |= {f"random.cuda.{n}": s for n, s in enumerate(torch.cuda.get_rng_state_all())}
    words = np.array(random.getstate()[1], dtype="<u4")
    found["random.python"] = torch.from_numpy(words.view(np.uint8).copy())
    keys = np.asarray(_numpy()[1], dtype="<u4")
    found["random.numpy"] = torch.from_numpy(keys.view(np.uint8).copy())
    return found


def _numpy() -> tuple[Any, ...]:
    """Of numpy's global generator: its name, 624 words, where it is in them, and half of a pair of normal draws."""
    state: Any = np.random.get_state(legacy=True)
    return tuple(state)


def _restore_randomness(tensors: Mapping[str, Tensor], told: Mapping[str, Any]) -> None:
    words = tensors["random.python"].numpy().view("<u4")
    random.setstate((3, tuple(int(word) for word in words), told["python"]))
    position, has_gauss, gauss = told["numpy"]
    np.random.set_state(("MT19937", tensors["random.numpy"].numpy().view("<u4"), position, has_gauss, gauss))
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all([tensors[f"random.cuda.{n}"] for n in range(torch.cuda.device_count())])
    torch.set_rng_state(tensors["random.torch"])


def _plain(value: Any) -> Any:
    """A schedule's state as JSON keeps it: a mapping with other keys than text becomes pairs."""
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {key: _plain(item) for key, item in value.items()}
        return {"~pairs": [[key, _plain(item)] for key, item in value.items()]}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _lively(value: Any) -> Any:
    """The inverse of :func:`_plain`, but that a tuple stays a list."""
    if isinstance(value, dict):
        if "~pairs" in value:
            return {key: _lively(item) for key, item in value["~pairs"]}
        return {key: _lively(item) for key, item in value.items()}
    return [_lively(item) for item in value] if isinstance(value, list) else value
