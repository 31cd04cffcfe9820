"""Does a private training leak less than it claims? One run with canaries, and what an attacker makes of them.

Made-up people are included by a fair coin each, as units like any other. Whoever sees every noisy update guesses who
was in: the better the guesses, the larger the epsilon must be. The bound holds with the stated confidence for the very
run (Steinke, Nasr, Jagielski 2023, "Privacy Auditing with One (1) Training Run", theorem 5.2 and its listing). A bound
above the claim proves that the claim is false; one below it proves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from sandbox.runs import Privacy
from sandbox.training.accounting import sigma_for
from sandbox.training.privacy import Engine
from sandbox.training.run import Utterance
from sandbox.training.sampling import PrivateRandomness
from sandbox.training.soundness import Loss

CONFIDENCE = 0.95
_HALVINGS = 30


@dataclass(frozen=True)
class Audit:
    """What was claimed, and what the guesses prove with ``confidence``."""

    claim: float
    delta: float
    canaries: int
    guesses: int
    correct: int
    lower_bound: float
    confidence: float = CONFIDENCE

    @property
    def kept(self) -> bool:
        """Whether the claim can still be true."""
        return self.lower_bound <= self.claim


def p_value(canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """The most likely that so many guesses are right by luck, were the training (epsilon, delta)-private."""
    if not 0 <= correct <= guesses <= canaries or epsilon < 0 or not 0 <= delta <= 1:
        raise ValueError("not an audit: 0 <= correct <= guesses <= canaries, epsilon >= 0, delta in [0, 1]")
    rate = 1 / (1 + math.exp(-epsilon))  # how often randomised response is right
    chance = [_binomial(k, guesses, rate) for k in range(guesses + 1)]
    by_luck = math.fsum(chance[correct:])
    steepest = below = 0.0
    for i in range(1, correct + 1):
        below += chance[correct - i]
        steepest = max(steepest, below / i)
    return min(1.0, by_luck + 2 * canaries * delta * steepest)


def _binomial(k: int, n: int, rate: float) -> float:
    """The probability of ``k`` of ``n``; by logarithms, for n may be thousands."""
    if rate >= 1.0:
        return float(k == n)
    log = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(log + k * math.log(rate) + (n - k) * math.log1p(-rate))


def claim(epsilon: float, delta: float, sample_rate: float, steps: int) -> Privacy:
    """What a private training would promise, with the noise that it takes and a clip of 1."""
    return Privacy(
        "speaker", epsilon, delta, 1.0, sample_rate, steps, sigma_for(epsilon, delta, sample_rate, steps)
    )


def silenced(privacy: Privacy) -> Privacy:
    """The same training without its noise: broken on purpose, for an audit to catch."""
    return replace(privacy, sigma=1e-9)


def lower_bound(
    canaries: int, guesses: int, correct: int, delta: float, confidence: float = CONFIDENCE
) -> float:
    """The largest epsilon that the guesses rule out with ``confidence``; 0 where they rule out none."""
    alpha = 1 - confidence
    if p_value(canaries, guesses, correct, 0.0, delta) >= alpha:
        return 0.0
    low, high = 0.0, 1.0
    while p_value(canaries, guesses, correct, high, delta) < alpha:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if p_value(canaries, guesses, correct, middle, delta) < alpha:
            low = middle
        else:
            high = middle
    return low


def audit(
    model: nn.Module,
    loss: Loss,
    claimed: Privacy,
    canaries: Sequence[Sequence[Utterance]],
    *,
    divisor: float,
    learning_rate: float,
    trained: Privacy | None = None,
    randomness: PrivateRandomness | None = None,
) -> Audit:
    """Train with about half of ``canaries``, watch every update, guess of each whether it was in.

    Each is scored by how much of every update is its own clipped gradient, and no other's; the upper half is guessed
    in, the lower half out. ``trained`` differs from what is claimed only where a broken training is to be caught.
    """
    private = randomness or PrivateRandomness()
    engine = Engine(
        model, loss, trained or claimed, divisor=divisor, learning_rate=learning_rate, randomness=private
    )
    inside = set(private.included(range(len(canaries)), 0.5))
    scores = torch.zeros(len(canaries), dtype=torch.float64)
    for _ in range(claimed.steps):
        clipped = torch.stack([_clipped(engine.gradient(who), claimed.clip) for who in canaries])  # [K, d]
        for who in private.included(sorted(inside), claimed.sample_rate):
            engine.add(canaries[who])
        scores += _share(clipped, divisor * _flat(engine.noisy_step()), trained or claimed)
    ranked = scores.argsort(descending=True).tolist()
    half = len(canaries) // 2
    correct = sum(who in inside for who in ranked[:half]) + sum(who not in inside for who in ranked[half:])
    bound = lower_bound(len(canaries), len(canaries), correct, claimed.delta)
    return Audit(claimed.epsilon, claimed.delta, len(canaries), len(canaries), correct, bound)


def _share(gradients: Tensor, noisy: Tensor, privacy: Privacy) -> Tensor:
    """How often each of ``gradients`` [K, d] went into the sum ``noisy`` [d], most likely; [K]

    Canaries resemble each other, so their shares are found together: ridge regression, which is the best guess where
    the noise is normal and every share is around q / 2 with variance at most 1/4.
    """
    rest = noisy - privacy.sample_rate / 2 * gradients.sum(0)
    penalty = max(4 * (privacy.sigma * privacy.clip) ** 2, 1e-9)
    return torch.linalg.solve(
        gradients @ gradients.T + penalty * torch.eye(len(gradients), dtype=gradients.dtype), gradients @ rest
    )


def _clipped(gradients: Sequence[Tensor], clip: float) -> Tensor:
    whole = _flat(gradients)
    return whole * min(1.0, clip / max(float(whole.norm()), 1e-12))


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([t.detach().double().flatten() for t in tensors])
