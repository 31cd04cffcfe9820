"""Privacy loss, counted outside the training code: what a run needs, what somebody has lost over all runs.

A private run is a Gaussian mechanism with noise ``sigma`` (times the clip) on Poisson-sampled data subjects, ``steps``
times; add-or-remove-one neighbours. PLD is reported (Koskela et al. 2020, Doroshenko et al. 2022; its estimate is an
upper bound), RDP (Mironov 2017, 2019) bounds it from above. Both come from Google's ``dp-accounting``; never GDP, whose
limit is no bound. A call takes up to seconds: it is cached by its merged history (in memory only: a stored figure could
be changed), and never made inside a transaction.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sandbox.errors import Usage
from sandbox.policy.facts import Spend
from sandbox.runs import Privacy

# Whole orders only: fractional ones do not always converge, and a bound over fewer orders is still a bound.
_ORDERS = (*range(2, 65), 80, 96, 128, 256, 512, 1024)
_FINE, _COARSE = 1e-4, 1e-3  # PLD's discretisation; coarser is quicker and never smaller
_SIGMA_LEAST, _SIGMA_MOST = 0.2, 1e5
_CLOSE = 0.002
_AGREE = 0.01  # PRV and PLD, relative to PLD
_PRV_ERROR = 0.011  # PRV's own bound on its error, and what rounding adds: at a small epsilon more than 1 %
_GRAIN = 0.001  # of PLD's estimate, which is an upper bound


@dataclass(frozen=True, order=True)
class Mechanism:
    """One private run's noise multiplier, sampling rate in (0, 1], and steps."""

    sigma: float
    sample_rate: float
    steps: int

    @classmethod
    def of(cls, privacy: Privacy) -> Mechanism:
        return cls(privacy.sigma, privacy.sample_rate, privacy.steps)


History = tuple[Mechanism, ...]


def merged(history: Iterable[Mechanism]) -> History:
    """One entry for each (sigma, rate), in one order: the same history in any order is counted once."""
    steps: dict[tuple[float, float], int] = {}
    for found in history:
        steps[found.sigma, found.sample_rate] = steps.get((found.sigma, found.sample_rate), 0) + found.steps
    return tuple(sorted(Mechanism(sigma, rate, count) for (sigma, rate), count in steps.items() if count))


def spent(history: Iterable[Mechanism], delta: float) -> float:
    """Epsilon of the whole history at ``delta`` by PLD; 0 for none, infinite where there is no noise."""
    known = merged(history)
    with _TURNS.of((known, delta)):
        return _pld(known, delta, _FINE)


def bound(history: Iterable[Mechanism], delta: float) -> float:
    """Epsilon by RDP: never below :func:`spent`."""
    return _rdp(merged(history), delta)


def disagreement(step: int, said: float, this: Mechanism, delta: float) -> str:
    """Why what a trainer told of its epsilon by PRV, after ``step`` steps, cannot stand beside our counts; or empty.

    PRV and PLD agree within 1 %, or within PRV's own error where that is more; RDP, which bounds, is never below PLD.
    """
    if not 1 <= step <= this.steps:
        return f"an epsilon of step {step} is told, and {this.steps} steps were granted"
    so_far = (replace(this, steps=step),)
    counted, above = spent(so_far, delta), bound(so_far, delta)
    if not above >= counted - _GRAIN:
        return f"at step {step} RDP says {above:.4g}, below the {counted:.4g} of PLD"
    if not abs(said - counted) <= max(_AGREE * counted, _PRV_ERROR):
        return f"at step {step} the trainer says {said:.4g} by PRV, and PLD says {counted:.4g}"
    return ""


@lru_cache(maxsize=256)
def sigma_for(epsilon: float, delta: float, sample_rate: float, steps: int) -> float:
    """The noise multiplier, rounded up to three decimals, with which the steps cost at most ``epsilon``.

    Raises:
        Usage: no noise that is worth training with gives it.
    """

    def cost(sigma: float) -> float:
        return _pld((Mechanism(sigma, sample_rate, steps),), delta, _COARSE)

    high = _SIGMA_LEAST
    while _rdp((Mechanism(high, sample_rate, steps),), delta) > epsilon:
        high *= 1.25
        if high > _SIGMA_MOST:
            raise Usage(
                f"epsilon {epsilon:g} at delta {delta:g} needs more noise than can be trained with",
                code="privacy.unreachable",
                mend="ask for a larger epsilon, fewer steps or a smaller sample_rate",
            )
    low = high / 2 if high > _SIGMA_LEAST else _SIGMA_LEAST
    while high - low > _CLOSE * high:
        middle = (low + high) / 2
        if cost(middle) > epsilon:
            low = middle
        else:
            high = middle
    return math.ceil(high * 1000) / 1000


def resolve(privacy: Privacy, steps: int) -> Privacy:
    """The target of a request with what the gate derives: steps and sigma."""
    return replace(
        privacy,
        steps=steps,
        sigma=sigma_for(privacy.epsilon, privacy.delta, privacy.sample_rate, steps),
    )


def spending(
    dataset: str,
    histories: Mapping[str, Sequence[Mechanism]],
    this: Mechanism,
    delta: float,
) -> tuple[Spend, ...]:
    """For every subject what was lost so far at ``delta``, and what it would be after ``this`` run.

    ``histories`` holds every subject of the run, with an empty history for a new one.
    """
    return tuple(
        Spend(dataset, subject, spent(history, delta), spent([*history, this], delta))
        for subject, history in sorted(histories.items())
    )


class _Turns:
    """Who asks for what somebody is counting waits for that count: a hundred who ask at once cost one composition."""

    def __init__(self, locks: int = 64) -> None:
        self._locks = tuple(threading.Lock() for _ in range(locks))

    def of(self, key: object) -> threading.Lock:
        return self._locks[hash(key) % len(self._locks)]


_TURNS = _Turns()


def _check(history: History, delta: float) -> bool:
    """Whether there is anything to count. Raises Usage for what is no mechanism."""
    if not 0 < delta < 1:
        raise Usage("delta lies between 0 and 1", code="privacy.delta")
    for found in history:
        if not (found.sigma >= 0 and 0 < found.sample_rate <= 1 and found.steps > 0):
            raise Usage(
                "not a mechanism: sigma, sample_rate or steps is out of range", code="privacy.mechanism"
            )
    return bool(history)


@lru_cache(maxsize=4096)
def _pld(history: History, delta: float, interval: float) -> float:
    if not _check(history, delta):
        return 0.0
    if any(found.sigma == 0 for found in history):
        return math.inf
    from dp_accounting.pld import PLDAccountant

    return _compose(PLDAccountant(value_discretization_interval=interval), history, delta)


@lru_cache(maxsize=4096)
def _rdp(history: History, delta: float) -> float:
    if not _check(history, delta):
        return 0.0
    if any(found.sigma == 0 for found in history):
        return math.inf
    from dp_accounting.rdp import RdpAccountant

    return _compose(RdpAccountant(_ORDERS), history, delta)


def _compose(accountant: Any, history: History, delta: float) -> float:
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent

    for found in history:
        accountant.compose(
            PoissonSampledDpEvent(found.sample_rate, GaussianDpEvent(found.sigma)), found.steps
        )
    return max(0.0, float(accountant.get_epsilon(delta)))
