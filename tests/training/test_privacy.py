"""The engine: what one person can change, what noise is added, what is counted."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench import small_bases
from sandbox.errors import PrivacyError
from sandbox.training import adapters, fastpitch, glowtts, vits, xtts, yourtts
from sandbox.training.privacy import Engine
from sandbox.training.run import Utterance
from sandbox.training.sampling import PrivateRandomness
from sandbox.training.soundness import Loss, made_up
from sandbox.training.worker import load
from tests.training import base_bytes
from tests.training.toys import PRIVACY, Linear, crowd, loss, norm, person, seeded

People = list[list[Utterance]]
Case = tuple[nn.Module, Loss, People]
C = PRIVACY.clip


def _toy(_: Path) -> Case:
    return Linear(), loss, crowd()


def _fastpitch(recipes: Path) -> Case:
    recipe = load(recipes / "voices-dp")
    return recipe.model(None), steady(recipe.loss), speakers("en", "es", "ru")


def _adapter(_: Path) -> Case:
    """Low-rank adapters on a frozen FastPitch; away from their start, where half of them would have no gradient."""
    shape = fastpitch.Shape(hidden=48, inner=96, layers=1, heads=1)
    model = adapters.adapt(fastpitch.build(shape), rank=2)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.05 * torch.randn_like(parameter)

    def its(model: nn.Module, utterance: Utterance) -> Tensor:
        batch = fastpitch.batch([fastpitch.example(shape, utterance)])
        found: Tensor = model.train_step(batch, model.get_criterion())[1]["loss"]  # type: ignore[operator]
        return found

    return model, steady(its), speakers("en", "en", "en")


def _glowtts(_: Path) -> Case:
    shape = glowtts.tiny(replace(glowtts.GLOWTTS, phonemes=False, characters=fastpitch.LATIN))
    model = glowtts.build(shape)
    model.lock_act_norm_layers()  # a first look at data that no accountant sees is left out

    def its(model: nn.Module, utterance: Utterance) -> Tensor:
        batch = glowtts.batch(shape, [glowtts.example(shape, utterance)])
        _, losses = model.train_step(batch, model.get_criterion())  # type: ignore[operator]
        return losses["loss"]

    return model, steady(its), speakers("en", "en", "en")


def _vits(_: Path) -> Case:
    """Both of its networks: what one of them learned without noise would be in the other."""
    shape = vits.tiny(replace(vits.VITS, phonemes=False, characters=fastpitch.LATIN))

    def its(model: nn.Module, utterance: Utterance) -> Tensor:
        batch, criterion = vits.batch(shape, [vits.example(shape, utterance)]), model.get_criterion()  # type: ignore[operator]
        judged, made = (model.train_step(batch, criterion, n)[1]["loss"] for n in (0, 1))  # type: ignore[operator]
        return judged + made

    return vits.build(shape), steady(its), speakers("en", "en", "en")[1:]


def _yourtts(_: Path) -> Case:
    """Both networks, in the voice that each recording has by an encoder that learns nothing."""
    shape, base = (
        small_bases.tiny_yourtts(512),
        base_bytes.loaded(small_bases.yourtts_base(512, encoder=True)),
    )
    model = yourtts.build(shape)
    voice = yourtts.load(shape, model, base)

    def its(model: nn.Module, utterance: Utterance) -> Tensor:
        batch, criterion = (
            yourtts.batch(shape, [yourtts.example(shape, utterance, voice)]),
            model.get_criterion(),
        )  # type: ignore[operator]
        judged, made = (model.train_step(batch, criterion, n)[1]["loss"] for n in (0, 1))  # type: ignore[operator]
        return judged + made

    return model, steady(its), speakers("en", "en", "en")[1:]


def _xtts(_: Path) -> Case:
    base = base_bytes.loaded(small_bases.xtts_base())
    tokenizer = xtts.vocabulary_of(base)
    model = xtts.build(small_bases.tiny_xtts())
    ears = xtts.load(small_bases.tiny_xtts(), model, base)

    def its(model: nn.Module, utterance: Utterance) -> Tensor:
        batch = xtts.batch(ears, [xtts.example(tokenizer, ears, utterance)])  # type: ignore[list-item]
        return model.train_step(batch)[1]["loss"]  # type: ignore[operator]

    return model, steady(its), speakers("en", "en", "en")


#: A new model family joins the sensitivity test and the comparison with plain autograd by one line here.
FAMILIES: dict[str, Callable[[Path], Case]] = {
    "toy": _toy,
    "fastpitch": _fastpitch,
    "glowtts": _glowtts,
    "vits": _vits,
    "xtts": _xtts,
    "yourtts": _yourtts,
}


def steady(its: Loss) -> Loss:
    """Dropout draws the same for one utterance, whoever came before."""

    def found(model: nn.Module, utterance: Utterance) -> Tensor:
        torch.manual_seed(len(utterance.text))
        return its(model, utterance)

    return found


def speakers(*languages: str) -> People:
    """One with a recording, one with two, one who says much more than all others."""
    first, second, third = languages
    long = replace(made_up(4, third), text="a much longer text than all others here")
    return [[made_up(1, first)], [made_up(2, second), made_up(3, second)], [long]]


@pytest.fixture(params=FAMILIES)
def case(request: pytest.FixtureRequest, recipes: Path) -> Case:
    """A model, its loss for one utterance, and people of very different weight."""
    torch.manual_seed(3)
    return FAMILIES[request.param](recipes)


def engine(
    model: nn.Module, loss: Loss, *, divisor: float = 2.0, seed: int | None = 7, clip: float = C
) -> Engine:
    source = PrivateRandomness() if seed is None else PrivateRandomness(seeded(seed))
    privacy = replace(PRIVACY, clip=clip)
    return Engine(model, loss, privacy, divisor=divisor, learning_rate=1e-3, randomness=source)


def summed(found: Engine, people: Sequence[Sequence[Utterance]]) -> list[Tensor]:
    """The clipped sum over ``people``, as a copy; the engine is stepped, its noise thrown away."""
    for utterances in people:
        found.add(utterances)
    return [t.clone() for t in found.clipped_sum()]


def noisy_gradient(found: Engine, people: Sequence[Sequence[Utterance]] = ()) -> list[Tensor]:
    """What the inner optimizer is given for one step over ``people``."""
    given: list[Tensor] = []
    found._optimizer.attach_step_hook(lambda o: given.extend(p.grad.detach().clone() for p in o.params))
    summed(found, people)
    found.step()
    return given


# What one person can change


@pytest.mark.parametrize("clip", [1.0, 0.01])
def test_the_sum_moves_by_at_most_the_clip_when_a_person_is_taken_away(case: Case, clip: float) -> None:
    model, loss, people = case
    everybody = summed(engine(model, loss, clip=clip), people)
    for gone in range(len(people)):
        others = summed(engine(model, loss, clip=clip), people[:gone] + people[gone + 1 :])
        moved = norm(a.double() - b.double() for a, b in zip(everybody, others, strict=True))
        assert 0 < moved <= clip * (1 + 1e-4)


def test_the_sum_is_that_of_a_loop_over_single_people(case: Case) -> None:
    """Plain autograd, one person at a time, each clipped by hand."""
    model, loss, people = case
    parameters = [p for p in model.parameters() if p.requires_grad]
    expected = [torch.zeros_like(p) for p in parameters]
    for utterances in people:
        mean = torch.stack([loss(model, u) for u in utterances]).mean()
        gradients = torch.autograd.grad(mean, parameters)
        factor = min(1.0, C / norm(gradients))
        expected = [sum_ + factor * g for sum_, g in zip(expected, gradients, strict=True)]
    found = summed(engine(model, loss), people)
    difference = norm(a - b for a, b in zip(found, expected, strict=True))
    assert difference / norm(expected) < 1e-4


def test_a_person_with_many_recordings_weighs_no_more_than_one_with_few() -> None:
    once, often = person(1), [person(1)[0]] * 20
    few, many = (engine(Linear(), loss).gradient(u) for u in (once, often))
    for a, b in zip(few, many, strict=True):
        torch.testing.assert_close(a, b)


def test_a_quiet_person_is_not_made_louder() -> None:
    found = engine(Linear(), loss, clip=1e6)
    quiet = person(1, 1e-3)
    expected = [g.clone() for g in found.gradient(quiet)]
    for a, b in zip(summed(found, [quiet]), expected, strict=True):
        torch.testing.assert_close(a, b)


def broken(value: float) -> Callable[[nn.Module, Utterance], Tensor]:
    return lambda model, utterance: loss(model, utterance) * value


def crash(model: nn.Module, utterance: Utterance) -> Tensor:
    raise ValueError(utterance.text)


def crash_at_second(model: nn.Module, utterance: Utterance) -> Tensor:
    return crash(model, utterance) if utterance.record.endswith("-1") else loss(model, utterance)


@pytest.mark.parametrize(
    "odd",
    [broken(float("nan")), broken(float("inf")), broken(1e38), crash, crash_at_second],
    ids=["no number", "infinite", "norm overflows", "raises", "raises half-way"],
)
def test_a_person_whose_loss_fails_has_no_influence_and_no_failure_tells(odd: Loss) -> None:
    found = engine(Linear(), odd)
    total = summed(found, [person(1, recordings=2)])
    assert all(bool(t.isfinite().all()) for t in total)
    assert norm(total) <= C
    found.step()
    assert found.accountant.history == [(PRIVACY.sigma, PRIVACY.sample_rate, 1)]
    assert all(bool(p.isfinite().all()) for p in found.model.parameters())


def test_a_model_that_changes_while_it_looks_is_refused() -> None:
    """A running statistic would be released beside the noisy weights, without any noise."""

    class Remembers(Linear):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.zeros(4), persistent=False)

    def remember(model: nn.Module, utterance: Utterance) -> Tensor:
        model.mean += torch.from_numpy(utterance.audio.copy())
        return loss(model, utterance)

    with pytest.raises(PrivacyError) as refused:
        engine(Remembers(), remember).add(person(1))
    assert refused.value.code == "privacy.state"


# Noise and the public divisor


class Wide(nn.Module):
    """Enough numbers to measure noise by."""

    def __init__(self, count: int = 100_000) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)
        self.bulk = nn.Parameter(torch.zeros(count))


@pytest.mark.parametrize(("sigma", "clip"), [(1.0, 1.0), (2.0, 0.5), (0.7, 3.0)])
def test_noise_has_a_std_of_sigma_times_the_clip(sigma: float, clip: float) -> None:
    privacy = replace(PRIVACY, sigma=sigma, clip=clip)
    found = Engine(
        Wide(), loss, privacy, divisor=1.0, learning_rate=1e-3, randomness=PrivateRandomness(seeded(11))
    )
    noise = noisy_gradient(found)[0]
    assert float(noise.std()) == pytest.approx(sigma * clip, rel=0.01)
    assert abs(float(noise.mean())) < 0.02 * sigma * clip


def test_noise_is_as_large_however_many_people_came() -> None:
    few, many = crowd()[:1], crowd()
    for people in ([], few, many):
        total = summed(engine(Linear(), loss), people)
        given = noisy_gradient(engine(Linear(), loss, divisor=1.0), people)
        noise = [g - t for g, t in zip(given, total, strict=True)]
        silent = noisy_gradient(engine(Linear(), loss, divisor=1.0))
        for a, b in zip(noise, silent, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("people", [[], crowd()[:1], crowd()], ids=["nobody", "one", "seven"])
def test_the_divisor_is_the_public_constant_however_many_people_came(people: People) -> None:
    by_one = noisy_gradient(engine(Linear(), loss, divisor=1.0), people)
    by_four = noisy_gradient(engine(Linear(), loss, divisor=4.0), people)
    for a, b in zip(by_one, by_four, strict=True):
        torch.testing.assert_close(a, 4 * b)


def test_seeding_every_public_generator_does_not_repeat_the_noise() -> None:
    gradients = []
    for _ in range(2):
        torch.manual_seed(5)
        np.random.seed(5)
        random.seed(5)
        gradients.append(noisy_gradient(engine(Linear(), loss, seed=None)))
    assert not any(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_noise_is_new_at_every_step() -> None:
    found = engine(Linear(), loss)
    assert not any(
        torch.equal(a, b) for a, b in zip(noisy_gradient(found), noisy_gradient(found), strict=True)
    )


# Steps that are counted


def test_a_step_without_anybody_is_noise_alone_and_is_counted() -> None:
    found = engine(Linear(), loss)
    before = [p.detach().clone() for p in found.model.parameters()]
    for _ in range(3):
        found.step()
    assert found.accountant.history == [(PRIVACY.sigma, PRIVACY.sample_rate, 3)]
    assert all(not torch.equal(p, b) for p, b in zip(found.model.parameters(), before, strict=True))


def test_a_sampled_person_without_recordings_counts_as_nobody() -> None:
    found = engine(Linear(), loss)
    found.add([])
    assert norm(found.clipped_sum()) == 0
    found.step()
    assert found.accountant.history == [(PRIVACY.sigma, PRIVACY.sample_rate, 1)]


@pytest.mark.parametrize("sizes", [(0, 0, 0, 0), (1, 0, 7, 2)])
def test_what_is_counted_does_not_depend_on_who_came(sizes: tuple[int, ...]) -> None:
    found = engine(Linear(), loss)
    for size in sizes:
        for utterances in crowd()[:size]:
            found.add(utterances)
        found.step()
    assert found.accountant.history == [(PRIVACY.sigma, PRIVACY.sample_rate, len(sizes))]


def test_a_step_starts_from_nothing() -> None:
    found = engine(Linear(), loss)
    summed(found, crowd())
    found.step()
    assert norm(found.clipped_sum()) == 0
