"""What a run spends, counted inside the container with Opacus' PRV accountant (Gopi et al. 2021), never with GDP.

The gate counts again, with another library, and its figure is the one that binds.
"""

from __future__ import annotations

import math
import warnings
from functools import lru_cache

from opacus.accountants import PRVAccountant, RDPAccountant

_SIGMA_MOST = 1e4
COUNTED = 150.0
_CLOSE = 0.005
_AGREEMENT = 1.02  # PRV and the gate's PLD agree within 1 %; a little room for both


def epsilon_of(sigma: float, sample_rate: float, steps: int, delta: float) -> float:
    """Epsilon of ``steps`` Poisson-sampled Gaussian steps at ``delta``, never below 0.

    Beyond what anybody may ask for it is RDP's bound: PRV's grid grows with epsilon, and would take all memory.
    """
    if (most := bound(sigma, sample_rate, steps, delta)) > COUNTED:
        return most
    return _prv(((sigma, sample_rate, steps),), delta)


def spent(accountant: PRVAccountant, delta: float) -> float:
    """Epsilon of what an accountant has seen so far."""
    return _prv(tuple(accountant.history), delta) if accountant.history else 0.0


@lru_cache(maxsize=256)
def _prv(history: tuple[tuple[float, float, int], ...], delta: float) -> float:
    accountant = PRVAccountant()
    accountant.history = list(history)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return max(0.0, float(accountant.get_epsilon(delta)))


def bound(sigma: float, sample_rate: float, steps: int, delta: float) -> float:
    """Epsilon by RDP (Mironov 2017): never below :func:`epsilon_of`, and counted at once."""
    accountant = RDPAccountant()
    accountant.history = [(sigma, sample_rate, steps)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(accountant.get_epsilon(delta))


@lru_cache(maxsize=64)
def sigma_for(epsilon: float, delta: float, sample_rate: float, steps: int) -> float:
    """The least noise multiplier but for half a percent, rounded up, with which the steps cost at most ``epsilon``.

    Raises:
        ValueError: no noise below 10 000 times the clip is enough.
    """
    high = 0.2
    while bound(high, sample_rate, steps, delta) > epsilon:
        high *= 1.25
        if high > _SIGMA_MOST:
            raise ValueError("no noise that is worth training with gives this epsilon")
    low = high / 2
    while high - low > _CLOSE * high:
        middle = (low + high) / 2
        low, high = (
            (low, middle) if epsilon_of(middle, sample_rate, steps, delta) <= epsilon else (middle, high)
        )
    return math.ceil(high * 1000) / 1000


def within(epsilon: float, target: float) -> bool:
    """Whether a count keeps a target, given what two good accountants may differ by."""
    return epsilon <= target * _AGREEMENT + 0.01  # 0.01: PRV's own error bound
