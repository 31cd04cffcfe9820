"""What must hold before a run with differential privacy may take its first step. Whatever does not hold refuses.

The model and the loss are tried on made-up utterances: the checks see no person's data and reveal nothing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sandbox.errors import PrivacyError
from sandbox.runs import Privacy
from sandbox.training.accounting import epsilon_of, within
from sandbox.training.run import Utterance

Loss = Callable[[nn.Module, Utterance], Tensor]

UNIT = "speaker"
LEAST_OF_DIVISOR = (
    0.5  # expected people a step over the public divisor; below it the noise is worse than it is told
)
_PLAIN = (bool, int, float, str, bytes, bytearray, list, tuple, dict, set, deque, np.ndarray, Tensor)
NOISE_LIMIT = 10.0  # noise over signal per step; beyond it no usable voice comes out


def check_target(privacy: Privacy, parameters: Mapping[str, Any]) -> None:
    """The target is complete, about people, and kept by the planned steps. All of it public constants.

    Raises:
        PrivacyError: it is not; the code says which.
    """
    if privacy.unit != UNIT:
        raise PrivacyError("the unit of privacy is the person, never an utterance", code="privacy.unit")
    for value in (privacy.epsilon, privacy.clip, privacy.sigma, privacy.delta, privacy.sample_rate):
        if not (math.isfinite(value) and value > 0):
            raise PrivacyError(
                "epsilon, delta, clip, sigma and sample rate are positive", code="privacy.target"
            )
    if privacy.delta >= 1 or privacy.sample_rate > 1 or privacy.steps < 1:
        raise PrivacyError(
            "delta is below 1, the sample rate at most 1, steps at least 1", code="privacy.target"
        )
    if parameters.get("steps", privacy.steps) != privacy.steps:
        raise PrivacyError("the recipe's steps are not those that were accounted", code="privacy.steps")
    if not within(
        epsilon_of(privacy.sigma, privacy.sample_rate, privacy.steps, privacy.delta), privacy.epsilon
    ):
        raise PrivacyError("the planned steps would spend more than the target", code="privacy.overspent")


def check_people(privacy: Privacy, people: int, divisor: float) -> None:
    """There are people enough. How many is no secret: the grant lists them.

    Raises:
        PrivacyError: delta would allow one of them to be given away outright, or far fewer come to a step than the
            divisor says and the request does not accept the noise that this makes.
    """
    if privacy.delta * people >= 1:
        raise PrivacyError("delta is not below one over the number of people", code="privacy.delta")
    if privacy.sample_rate * people < LEAST_OF_DIVISOR * divisor and not privacy.accept_noise:
        raise PrivacyError("fewer people come to a step than its divisor says", code="privacy.people")


def check_noise(privacy: Privacy, dimensions: int, divisor: float) -> float:
    """Noise over signal per step, at least sigma sqrt(d) / B.

    Raises:
        PrivacyError: it is over the limit and the request does not accept that.
    """
    ratio = privacy.sigma * math.sqrt(dimensions) / divisor
    if ratio > NOISE_LIMIT and not privacy.accept_noise:
        raise PrivacyError("the noise would drown the signal", code="privacy.noise")
    return ratio


def check_model(model: nn.Module, loss: Loss, utterances: tuple[Utterance, Utterance]) -> None:
    """Every trainable parameter learns, one unit at a time, and nothing is carried from one unit to the next.

    Raises:
        PrivacyError: a layer keeps statistics, a parameter has no gradient of its shape, the loss is no finite
            scalar, or a unit's gradient depends on the unit before.
    """
    if any(getattr(module, "track_running_stats", False) for module in model.modules()):
        raise PrivacyError("a layer keeps statistics of what it sees", code="privacy.statistics")
    first, second = utterances
    before = snapshot(model)
    alone = _gradient(model, loss, first)
    if changed(model, before):
        raise PrivacyError("the loss changes the model's state", code="privacy.state")
    _gradient(model, loss, second)
    again = _gradient(model, loss, first)
    if any(not torch.equal(a, b) for a, b in zip(alone, again, strict=True)):
        raise PrivacyError("a unit's gradient depends on the unit before", code="privacy.memory")


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """A copy of every parameter and buffer, those that no state_dict shows included."""
    return {name: t.detach().clone() for name, t in [*model.named_parameters(), *model.named_buffers()]}


def changed(model: nn.Module, before: Mapping[str, Tensor]) -> bool:
    """Whether any parameter or buffer is not what it was."""
    now = dict([*model.named_parameters(), *model.named_buffers()])
    if now.keys() != before.keys():
        return True
    return any(t.shape != before[n].shape or not torch.equal(t, before[n]) for n, t in now.items())


def remembered(module: ModuleType) -> dict[str, str]:
    """What a recipe's own names hold, outside of any model: a vocabulary that grows, a mean, a count of who came."""
    return {
        name: _words(value)
        for name, value in vars(module).items()
        if not name.startswith("__") and isinstance(value, _PLAIN)
    }


def _words(value: Any) -> str:
    """``repr``, but of arrays every number: theirs leaves most out."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    return repr(value.tolist()) if isinstance(value, np.ndarray) else repr(value)


def made_up(seed: int, language: str, sample_rate: int = 16_000) -> Utterance:
    """A public stand-in for a recording: a second of noise under a fixed text."""
    noise = np.random.default_rng(seed).standard_normal(sample_rate) * 0.1
    return Utterance(
        f"public-{seed}", f"public-{seed}", language, "a public text", sample_rate, noise.astype("<f4")
    )


def _gradient(model: nn.Module, loss: Loss, utterance: Utterance) -> list[Tensor]:
    """One unit's gradient under a fixed generator, so that dropout is the same each time."""
    state = torch.get_rng_state()
    try:
        torch.manual_seed(0)
        model.zero_grad(set_to_none=True)
        value = loss(model, utterance)
        if (
            not isinstance(value, Tensor)
            or value.dim() != 0
            or not value.requires_grad
            or not value.isfinite()
        ):
            raise PrivacyError(
                "the loss of one utterance is a finite scalar with a gradient", code="privacy.loss"
            )
        value.backward()
    finally:
        torch.set_rng_state(state)
    gradients = []
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        if parameter.grad is None or parameter.grad.shape != parameter.shape or parameter.grad.is_sparse:
            raise PrivacyError("a trainable parameter has no gradient of its shape", code="privacy.gradient")
        gradients.append(parameter.grad.detach().clone())
    model.zero_grad(set_to_none=True)
    if not gradients:
        raise PrivacyError("the model has nothing to train", code="privacy.gradient")
    return gradients
