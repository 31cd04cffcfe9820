"""One-run audits: the statistics by hand, and trainings that keep their claim and that do not."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sandbox.policy.recipe import expand, read_card
from sandbox.runs import Kind, Privacy
from sandbox.training.accounting import epsilon_of, sigma_for
from sandbox.training.audit import audit, lower_bound, p_value
from sandbox.training.run import Utterance
from sandbox.training.sampling import PrivateRandomness
from tests.training.fake_keeper import FakeKeeper
from tests.training.toys import seeded

# The statistics


def test_without_delta_it_is_the_binomial_tail() -> None:
    """10 of 10 right under pure epsilon: (e^eps / (1 + e^eps))^10."""
    for epsilon in (0.0, 0.5, 2.0):
        rate = math.exp(epsilon) / (1 + math.exp(epsilon))
        assert p_value(10, 10, 10, epsilon, 0.0) == pytest.approx(rate**10)
    assert p_value(10, 10, 9, 0.0, 0.0) == pytest.approx(11 / 1024)


def test_a_bound_is_where_the_guesses_become_likely() -> None:
    rate = 0.05 ** (1 / 100)
    assert lower_bound(100, 100, 100, 0.0) == pytest.approx(math.log(rate / (1 - rate)), rel=1e-6)
    bound = lower_bound(1000, 400, 330, 1e-5)
    assert p_value(1000, 400, 330, bound, 1e-5) == pytest.approx(0.05, rel=1e-3)


# The first is its closed form, ln(x / (1 - x)) with x = 0.05^(1/100); the others prove nothing.
@pytest.mark.parametrize(
    ("canaries", "guesses", "correct", "delta", "bound"),
    [
        (1000, 100, 100, 0.0, 3.4930),
        (1000, 100, 50, 0.0, 0.0),
        (1000, 0, 0, 0.0, 0.0),
        (100, 100, 10, 0.0, 0.0),
    ],
)
def test_known_figures(canaries: int, guesses: int, correct: int, delta: float, bound: float) -> None:
    assert lower_bound(canaries, guesses, correct, delta) == pytest.approx(bound, abs=1e-3)


def test_a_larger_delta_and_more_confidence_prove_less() -> None:
    assert lower_bound(500, 100, 95, 1e-3) < lower_bound(500, 100, 95, 1e-6) < lower_bound(500, 100, 95, 0.0)
    assert lower_bound(500, 100, 95, 0.0, 0.99) < lower_bound(500, 100, 95, 0.0, 0.95)
    assert lower_bound(500, 100, 95, 1.0) == 0.0


@pytest.mark.parametrize(
    "wrong", [(10, 11, 5, 1.0, 0.1), (10, 5, 6, 1.0, 0.1), (10, 5, 5, -1.0, 0.1), (10, 5, 5, 1, 2)]
)
def test_what_is_no_audit_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="audit"):
        p_value(*wrong)


# Trainings

CANARIES, STEPS, DELTA, CLAIM = 200, 5, 1e-5, 1.0


class Weights(nn.Module):
    """A weight for each canary, so that nothing hides behind another (the paper's Dirac canaries)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(CANARIES))


def pull(model: nn.Module, utterance: Utterance) -> Tensor:
    """A gradient of length 5 along the weight that the record names: well above the clip."""
    return 5 * model.weight[int(utterance.record)]  # type: ignore[index, operator]


def canaries() -> list[list[Utterance]]:
    silence = np.zeros(4, dtype="<f4")
    return [[Utterance(str(n), f"canary-{n}", "en", "", 16_000, silence)] for n in range(CANARIES)]


def claimed(sample_rate: float = 1.0) -> Privacy:
    sigma = sigma_for(CLAIM, DELTA, 1.0, STEPS) if sample_rate == 1.0 else 4.0
    claim = CLAIM if sample_rate == 1.0 else epsilon_of(sigma, sample_rate, STEPS, DELTA)
    return Privacy("speaker", claim, DELTA, 1.0, sample_rate, STEPS, sigma, accept_noise=True)


def audited(claim: Privacy, seed: int = 1, **trained: float) -> Any:
    broken = replace(claim, **trained) if trained else None
    randomness = PrivateRandomness(seeded(seed))
    return audit(Weights(), pull, claim, canaries(), divisor=100.0, learning_rate=1e-3, trained=broken,
                 randomness=randomness)  # fmt: skip


@pytest.mark.parametrize(("seed", "rate"), [(0, 1.0), (1, 1.0), (2, 1.0), (3, 0.5)])
def test_a_private_training_is_not_caught(seed: int, rate: float) -> None:
    found = audited(claimed(rate), seed)
    assert found.kept and found.lower_bound <= found.claim <= 2 * CLAIM
    assert found.canaries == found.guesses == CANARIES and found.correct < 0.8 * CANARIES


@pytest.mark.parametrize("broken", ["noise off", "clip off"])
def test_a_training_that_breaks_its_promise_is_caught(broken: str) -> None:
    claim = claimed()
    change = {"sigma": 1e-9} if broken == "noise off" else {"clip": 5.0, "sigma": claim.sigma / 50}
    found = audited(claim, **change)
    assert not found.kept and found.lower_bound > CLAIM
    assert found.correct > 0.9 * CANARIES


def test_noise_that_is_found_costs_what_was_asked_and_hardly_less() -> None:
    for epsilon, rate, steps in ((1.0, 1.0, 5), (8.0, 0.1, 20)):
        sigma = sigma_for(epsilon, DELTA, rate, steps)
        assert 0.97 * epsilon < epsilon_of(sigma, rate, steps, DELTA) <= epsilon
    with pytest.raises(ValueError, match="noise"):
        sigma_for(1e-6, 1e-9, 1.0, 10_000)


# The recipe that does all of it in a dry run


def dry(recipes: Path, **asked: object) -> FakeKeeper:
    folder = recipes / "privacy-audit"
    card = read_card({name: (folder / name).read_bytes() for name in ("recipe.yaml", "recipe.py")})
    given = expand(card, asked, Kind.DRY)
    found = FakeKeeper(given.parameters, given.metrics, given.artifacts, kind=Kind.DRY.value)
    assert found.run(folder)
    return found


@pytest.mark.parametrize(("noise", "kept"), [(True, True), (False, False)], ids=["private", "noise off"])
def test_the_recipe_tells_claim_and_bound(recipes: Path, noise: bool, kept: bool) -> None:
    found = dry(recipes, noise=noise)
    claim, bound = found.values("claim")[5], found.values("lower_bound")[5]
    assert claim == 1.0 and (bound <= claim) is kept and found.values("guesses")[5] == 200


def test_a_real_model_is_audited_too(recipes: Path) -> None:
    found = dry(recipes, model="fastpitch", canaries=60, steps=2, noise=False, epsilon=0.3)
    assert found.values("lower_bound")[2] > found.values("claim")[2]
    found = dry(recipes, model="fastpitch", canaries=20, steps=1)
    assert found.values("lower_bound")[1] <= 1.0
