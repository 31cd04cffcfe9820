"""What a run spends, counted inside the container with Opacus' PRV accountant (Gopi et al. 2021), never with GDP.

The gate counts again, with another library, and its figure is the one that binds.
"""

from __future__ import annotations

import warnings

from opacus.accountants import PRVAccountant

_AGREEMENT = 1.02  # PRV and the gate's PLD agree within 1 %; a little room for both


def epsilon_of(sigma: float, sample_rate: float, steps: int, delta: float) -> float:
    """Epsilon of ``steps`` Poisson-sampled Gaussian steps at ``delta``, never below 0."""
    accountant = PRVAccountant()
    accountant.history = [(sigma, sample_rate, steps)]
    return spent(accountant, delta)


def spent(accountant: PRVAccountant, delta: float) -> float:
    """Epsilon of what an accountant has seen so far."""
    if not accountant.history:
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return max(0.0, float(accountant.get_epsilon(delta)))


def within(epsilon: float, target: float) -> bool:
    """Whether a count keeps a target, given what two good accountants may differ by."""
    return epsilon <= target * _AGREEMENT + 0.01  # 0.01: PRV's own error bound
