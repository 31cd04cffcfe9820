"""Each check that refuses to train privately, tried with a model or a target that breaks just that."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sandbox.errors import PrivacyError
from sandbox.runs import Privacy
from sandbox.training import fastpitch, glowtts, vits
from sandbox.training.run import Utterance
from sandbox.training.soundness import (
    NOISE_LIMIT,
    Loss,
    check_model,
    check_noise,
    check_people,
    check_target,
    made_up,
)
from tests.training.toys import PRIVACY, Linear, loss

PUBLIC = (made_up(1, "en"), made_up(2, "es"))

# The target


def test_a_target_that_the_steps_keep_is_accepted() -> None:
    check_target(PRIVACY, {"steps": PRIVACY.steps})
    check_target(PRIVACY, {})


TARGETS = [
    pytest.param({"unit": "utterance"}, "privacy.unit", id="a recording as the unit"),
    pytest.param({"unit": ""}, "privacy.unit", id="no unit"),
    *[
        pytest.param({name: value}, "privacy.target", id=f"{name} {value}")
        for name in ("epsilon", "delta", "clip", "sigma", "sample_rate")
        for value in (0.0, -1.0, math.nan, math.inf)
    ],
    pytest.param({"delta": 1.0}, "privacy.target", id="delta of one"),
    pytest.param({"sample_rate": 1.5}, "privacy.target", id="more than everybody"),
    pytest.param({"steps": 0}, "privacy.target", id="no step"),
    pytest.param({"epsilon": 0.5}, "privacy.overspent", id="epsilon too small"),
    pytest.param({"sigma": 0.2}, "privacy.overspent", id="noise too small"),
    pytest.param({"steps": 400}, "privacy.overspent", id="too many steps"),
]


@pytest.mark.parametrize(("change", "code"), TARGETS)
def test_a_target_that_is_none_is_refused(change: dict[str, Any], code: str) -> None:
    with pytest.raises(PrivacyError) as refused:
        check_target(replace(PRIVACY, **change), {})
    assert refused.value.code == code


def test_steps_of_the_recipe_that_were_not_accounted_are_refused() -> None:
    with pytest.raises(PrivacyError) as refused:
        check_target(PRIVACY, {"steps": PRIVACY.steps + 1})
    assert refused.value.code == "privacy.steps"


# How many people


@pytest.mark.parametrize(
    ("people", "change", "code"),
    [
        pytest.param(1000, {"delta": 1e-3}, "privacy.delta", id="delta of one person in all"),
        pytest.param(
            1001, {"delta": 1e-3, "accept_noise": True}, "privacy.delta", id="delta, whatever is accepted"
        ),
        pytest.param(3, {}, "privacy.people", id="fewer come than the divisor says"),
        pytest.param(0, {}, "privacy.people", id="nobody"),
        pytest.param(999, {"delta": 1e-3}, None, id="enough"),
        pytest.param(4, {}, None, id="just enough"),
        pytest.param(1, {"accept_noise": True}, None, id="few, and the noise is accepted"),
    ],
)
def test_fewer_people_than_privacy_can_serve_are_refused(
    people: int, change: dict[str, Any], code: str | None
) -> None:
    target = replace(
        PRIVACY, **{"accept_noise": False, **change}
    )  # sample rate 0.5, divisor 4: four are the least
    if code is None:
        check_people(target, people, 4.0)
        return
    with pytest.raises(PrivacyError) as refused:
        check_people(target, people, 4.0)
    assert refused.value.code == code


# Noise over signal


def test_noise_over_signal_is_sigma_root_d_over_b() -> None:
    assert check_noise(replace(PRIVACY, sigma=2.0), 10_000, 100.0) == 2.0


def test_noise_that_drowns_the_signal_is_refused_unless_it_was_accepted() -> None:
    refusing = Privacy("speaker", 50.0, 1e-5, 1.0, 0.5, 4, 1.0, accept_noise=False)
    dimensions = int(NOISE_LIMIT**2)
    assert check_noise(refusing, dimensions, 1.0) == NOISE_LIMIT
    with pytest.raises(PrivacyError) as refused:
        check_noise(refusing, dimensions + 1, 1.0)
    assert refused.value.code == "privacy.noise"
    assert check_noise(replace(refusing, accept_noise=True), 4 * dimensions, 1.0) == 2 * NOISE_LIMIT


# The model and its loss


class Dropping(Linear):
    """Sound: dropout is no memory."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)


def dropped(model: nn.Module, utterance: Utterance) -> Tensor:
    x = torch.from_numpy(utterance.audio.copy())[:4]
    return model.layer(model.dropout(x)).square().mean()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("model", "its_loss"), [(Linear(), loss), (Dropping(), dropped)], ids=["plain", "dropout"]
)
def test_a_sound_model_is_accepted_and_left_as_it_was(model: nn.Module, its_loss: Loss) -> None:
    before = [p.detach().clone() for p in model.parameters()]
    generator = torch.get_rng_state()
    check_model(model, its_loss, PUBLIC)
    assert all(torch.equal(p, b) and p.grad is None for p, b in zip(model.parameters(), before, strict=True))
    assert torch.equal(torch.get_rng_state(), generator)


class Normalised(Linear):
    """BatchNorm in evaluation: its statistics lie still while the check looks, and move once training starts."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.norm.requires_grad_(False)
        self.norm.eval()


class Unused(Linear):
    """A weight that no loss reaches, as ModuleValidator lets pass."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Parameter(torch.zeros(2))


class Frozen(Linear):
    """Nothing is left to train; the loss still has a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.requires_grad_(False)


class Sparse(Linear):
    """Gradients that hold only the rows that were looked up."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(3, 4, sparse=True)


class Awakening(Linear):
    """ActNorm in short: the first batch sets a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("awake", torch.tensor(0.0))


class Reshaping(Linear):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(0), persistent=False)


class Remembering(Linear):
    """State that no buffer shows: batch mates of yesterday."""

    def __init__(self) -> None:
        super().__init__()
        self.yesterday = torch.zeros(4)


def wakes(model: nn.Module, utterance: Utterance) -> Tensor:
    if not model.awake:
        with torch.no_grad():
            model.layer.bias += float(utterance.audio.mean()) + 1.0  # type: ignore[operator]
            model.awake += 1  # type: ignore[operator]
    return loss(model, utterance)


def grows(model: nn.Module, utterance: Utterance) -> Tensor:
    model.seen = torch.cat([model.seen, torch.ones(1)])  # type: ignore[list-item]
    return loss(model, utterance)


def adds_a_buffer(model: nn.Module, utterance: Utterance) -> Tensor:
    model.register_buffer("late", torch.ones(1))
    return loss(model, utterance)


def remembers(model: nn.Module, utterance: Utterance) -> Tensor:
    value = loss(model, utterance) + (model.layer.weight @ model.yesterday).sum()  # type: ignore[operator]
    model.yesterday = torch.from_numpy(utterance.audio.copy())[:4]
    return value


def looks_up(model: nn.Module, utterance: Utterance) -> Tensor:
    return loss(model, utterance) + model.table(torch.tensor([1])).sum()  # type: ignore[operator]


def of_another(model: nn.Module, utterance: Utterance) -> Tensor:
    return torch.ones((), requires_grad=True).square()


def changed_loss(how: Any) -> Loss:
    return lambda model, utterance: how(loss(model, utterance))


def trains_by_itself(model: nn.Module, utterance: Utterance) -> Tensor:
    """A discriminator of VITS in short: an optimizer of its own, whose steps no accountant sees."""
    own = torch.optim.SGD([model.layer.bias], lr=0.1)  # type: ignore[operator, list-item]
    loss(model, utterance).backward()
    own.step()
    own.zero_grad()
    return loss(model, utterance)


MODELS = [
    pytest.param(Linear(), trains_by_itself, "privacy.state", id="an optimizer of its own"),
    pytest.param(Normalised(), loss, "privacy.statistics", id="BatchNorm"),
    pytest.param(Unused(), loss, "privacy.gradient", id="a parameter without gradient"),
    pytest.param(Frozen(), of_another, "privacy.gradient", id="nothing to train"),
    pytest.param(Sparse(), looks_up, "privacy.gradient", id="a sparse gradient"),
    pytest.param(Awakening(), wakes, "privacy.state", id="the first utterance sets weights"),
    pytest.param(Reshaping(), grows, "privacy.state", id="a buffer grows"),
    pytest.param(Linear(), adds_a_buffer, "privacy.state", id="a buffer appears"),
    pytest.param(Remembering(), remembers, "privacy.memory", id="the unit before is remembered"),
    pytest.param(
        Linear(), changed_loss(lambda v: v.reshape(1)), "privacy.loss", id="a loss for each of a batch"
    ),
    pytest.param(
        Linear(), changed_loss(lambda v: v * math.nan), "privacy.loss", id="a loss that is no number"
    ),
    pytest.param(Linear(), changed_loss(lambda v: v / 0), "privacy.loss", id="an infinite loss"),
    pytest.param(Linear(), changed_loss(lambda v: v.detach()), "privacy.loss", id="a loss without gradient"),
    pytest.param(
        Linear(), changed_loss(lambda v: float(v.detach())), "privacy.loss", id="a loss that is no tensor"
    ),
]


@pytest.mark.parametrize(("model", "its_loss", "code"), MODELS)
def test_an_unsound_model_is_refused(model: nn.Module, its_loss: Loss, code: str) -> None:
    with pytest.raises(PrivacyError) as refused:
        check_model(model, its_loss, PUBLIC)
    assert refused.value.code == code


def test_the_generator_is_put_back_when_a_check_refuses() -> None:
    model = Linear()
    generator = torch.get_rng_state()
    with pytest.raises(PrivacyError):
        check_model(model, changed_loss(lambda v: v * math.nan), PUBLIC)
    assert torch.equal(torch.get_rng_state(), generator)


# Real models, as coqui leaves them


def _glowtts_as_it_comes() -> tuple[nn.Module, Loss]:
    shape = replace(glowtts.tiny(glowtts.GLOWTTS), phonemes=False, characters=fastpitch.LATIN)
    model = glowtts.build(shape)
    model.unlock_act_norm_layers()

    def its(model: Any, utterance: Utterance) -> Tensor:
        batch = glowtts.batch(shape, [glowtts.example(shape, utterance)])
        found: Tensor = model.train_step(batch, model.get_criterion())[1]["loss"]
        return found

    return model, its


def _half_of_vits() -> tuple[nn.Module, Loss]:
    shape = vits.tiny(replace(vits.VITS, phonemes=False, characters=fastpitch.LATIN))

    def its(model: Any, utterance: Utterance) -> Tensor:
        batch, criterion = vits.batch(shape, [vits.example(shape, utterance)]), model.get_criterion()
        found: Tensor = model.train_step(batch, criterion, vits.DISCRIMINATOR)[1]["loss"]
        return found

    return vits.build(shape), its


@pytest.mark.parametrize(
    ("made", "code"),
    [
        pytest.param(_glowtts_as_it_comes, "privacy.state", id="GlowTTS' first look at data"),
        pytest.param(_half_of_vits, "privacy.gradient", id="one of VITS' two networks"),
    ],
)
def test_a_model_as_coqui_leaves_it_is_refused(made: Callable[[], tuple[nn.Module, Loss]], code: str) -> None:
    torch.manual_seed(3)
    model, its = made()
    with pytest.raises(PrivacyError) as refused:
        check_model(model.train(), its, PUBLIC)
    assert refused.value.code == code
