"""Private randomness. Statistical tests draw from a source that repeats, with limits far from chance."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest
import torch
from scipy import stats

from sandbox.training.sampling import _BLOCK, PrivateRandomness, keystream
from tests.training.toys import seeded

MANY = 200_000


def draw(randomness: PrivateRandomness) -> tuple[list[int], list[int], list[float]]:
    people = list(range(1000))
    noise = randomness.gaussian(torch.Size([8]), 1.0)
    return randomness.included(people, 0.5), randomness.choose(people, 5), noise.tolist()


def test_every_draw_has_a_key_of_its_own_from_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def kernel(count: int) -> bytes:
        asked.append(count)
        return bytes(count)

    monkeypatch.setattr(os, "urandom", kernel)
    draw(PrivateRandomness())
    assert asked == [32] * 4  # radius and angle of the noise, who, which utterances
    assert keystream(16).hex() == "dc95c078a2408989ad48a21492842087"  # AES-256 of zeros under a key of zeros


def test_noise_is_no_other_across_the_blocks_it_is_made_in() -> None:
    """As many draws as values, none used twice, at a block's edge too."""
    noise = PrivateRandomness(seeded(6)).gaussian(torch.Size([2 * _BLOCK + 3]), 1.0)
    assert len(noise) == 2 * _BLOCK + 3 and len(noise.unique()) > 1.99 * _BLOCK  # some meet in float32
    halves = [stats.kstest(part.double().numpy(), "norm").pvalue for part in noise.split(_BLOCK)[:2]]
    assert min(halves) > 1e-3


def test_no_seed_of_a_public_generator_repeats_a_draw() -> None:
    draws = []
    for _ in range(2):
        torch.manual_seed(1)
        np.random.seed(1)
        random.seed(1)
        draws.append(draw(PrivateRandomness()))
    for first, second in zip(*draws, strict=True):
        assert first != second


def test_a_draw_leaves_the_public_generators_alone() -> None:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    draw(PrivateRandomness())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]  # type: ignore[index]


@pytest.mark.parametrize(("byte", "value"), [(b"\0", 2.0**-53), (b"\xff", 1.0)], ids=["least", "most"])
def test_a_uniform_draw_is_never_zero_and_never_above_one(byte: bytes, value: float) -> None:
    randomness = PrivateRandomness(lambda count: byte * count)
    assert randomness.uniform(3).tolist() == [value] * 3
    assert np.isfinite(randomness.gaussian(torch.Size([3]), 1.0).numpy()).all()


def test_uniform_draws_are_uniform() -> None:
    assert stats.kstest(PrivateRandomness(seeded(1)).uniform(MANY).numpy(), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("rate", [0.01, 0.25, 0.9])
def test_each_person_is_sampled_at_the_rate(rate: float) -> None:
    found = len(PrivateRandomness(seeded(2)).included(range(MANY), rate))
    assert abs(found - rate * MANY) < 5 * (MANY * rate * (1 - rate)) ** 0.5


def test_people_are_sampled_independently() -> None:
    """The size of a Poisson batch varies as a binomial does; a fixed batch would not."""
    randomness = PrivateRandomness(seeded(3))
    sizes = [len(randomness.included(range(50), 0.2)) for _ in range(4000)]
    assert np.var(sizes) == pytest.approx(50 * 0.2 * 0.8, rel=0.1)
    assert min(sizes) < 3 and max(sizes) > 18


def test_a_batch_may_be_empty_and_rate_one_takes_everybody() -> None:
    assert PrivateRandomness(lambda count: b"\xff" * count).included(["a", "b"], 0.999) == []
    assert PrivateRandomness(lambda count: b"\xff" * count).included(["a", "b"], 1.0) == ["a", "b"]
    assert PrivateRandomness().included([], 0.5) == []


def test_at_most_so_many_are_chosen_each_once_and_each_as_often() -> None:
    randomness = PrivateRandomness(seeded(4))
    assert sorted(randomness.choose("abc", 5)) == ["a", "b", "c"]
    counts = dict.fromkeys(range(6), 0)
    for _ in range(6000):
        chosen = randomness.choose(range(6), 2)
        assert len(set(chosen)) == 2
        for item in chosen:
            counts[item] += 1
    assert all(abs(count - 2000) < 5 * (6000 / 3 * 2 / 3) ** 0.5 for count in counts.values())


@pytest.mark.parametrize("std", [0.5, 3.0])
def test_noise_is_normal_with_the_std_that_was_asked_for(std: float) -> None:
    noise = PrivateRandomness(seeded(5)).gaussian(torch.Size([MANY // 4, 4]), std)
    assert noise.shape == (MANY // 4, 4) and noise.dtype == torch.float32
    values = noise.flatten().double().numpy() / std
    assert values.std() == pytest.approx(1.0, rel=0.01)
    assert abs(values.mean()) < 0.01
    assert stats.kstest(values, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(values[0::2], values[1::2])[0, 1]) < 0.01


def test_a_value_of_noise_takes_four_draws() -> None:
    """One draw of 53 bits leaves holes between floats that give it away; so Opacus, so we."""
    asked: list[int] = []

    def counted(count: int) -> bytes:
        asked.append(count)
        return os.urandom(count)

    PrivateRandomness(counted).gaussian(torch.Size([10]), 1.0)
    assert sum(asked) == 10 * 4 * 8
