"""What guesses of who was in are worth: a curve, its area, and the epsilon that they rule out. Pure.

Read at low false positive rates, not by averages alone (Carlini et al. 2022, "Membership Inference Attacks From First
Principles"). Of what is (epsilon, delta)-private no guess can do better than TPR <= e^epsilon FPR + delta, and the same
of those left out (Kairouz, Oh, Viswanath 2015, "The Composition Theorem for Differential Privacy"); both rates by
Clopper-Pearson, as Nasr et al. 2021, "Adversary Instantiation", do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

CONFIDENCE = 0.95
_HALVINGS = 60


def roc(members: Sequence[float], others: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """(false, true) positive rates as the threshold falls; who scores alike is guessed alike."""
    points, true, false = [(0.0, 0.0)], 0, 0
    ranked = sorted([(s, True) for s in members] + [(s, False) for s in others], reverse=True)
    for place, (score, member) in enumerate(ranked, 1):
        true, false = true + member, false + (not member)
        if place == len(ranked) or ranked[place][0] != score:
            points.append((false / len(others), true / len(members)))
    return tuple(points)


def auc(curve: Sequence[tuple[float, float]]) -> float:
    """The area under it: how often a member scores above somebody else, ties half."""
    return math.fsum(
        (curve[n][0] - curve[n - 1][0]) * (curve[n][1] + curve[n - 1][1]) / 2 for n in range(1, len(curve))
    )


def tpr_at(curve: Sequence[tuple[float, float]], most: float) -> float:
    """The largest true positive rate at a false one of at most ``most``; nothing is read between points."""
    return max(true for false, true in curve if false <= most)


def threshold(members: Sequence[float], others: Sequence[float]) -> float:
    """Guess "in" from this score on: where the two rates are farthest apart as epsilon sees it, counts smoothed."""

    def apart(level: float) -> float:
        true = (sum(s >= level for s in members) + 1) / (len(members) + 2)
        false = (sum(s >= level for s in others) + 1) / (len(others) + 2)
        return max(math.log(true / false), math.log((1 - false) / (1 - true)))

    return max(sorted({*members, *others}, reverse=True), key=apart, default=0.0)


def epsilon_at_least(
    true: int, members: int, false: int, others: int, delta: float, alpha: float = 1 - CONFIDENCE
) -> float:
    """The largest epsilon that these counts rule out, at a threshold that they did not choose; 0 where none.

    Both rates hold at once with confidence 1 - alpha: half of it is spent on each.
    """
    least, most = at_least(true, members, alpha / 2), at_most(false, others, alpha / 2)
    found = 0.0
    for caught, mistaken in ((least, most), (1 - most, 1 - least)):
        if caught - delta > mistaken:
            found = max(found, math.log((caught - delta) / mistaken))
    return found


def at_least(k: int, n: int, alpha: float) -> float:
    """Clopper and Pearson's one-sided lower bound of a rate of which ``k`` of ``n`` were seen."""
    if k == 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _tail(k, n, middle) < alpha:
            low = middle
        else:
            high = middle
    return low


def at_most(k: int, n: int, alpha: float) -> float:
    """The upper one."""
    return 1 - at_least(n - k, n, alpha)


def _tail(k: int, n: int, rate: float) -> float:
    """The probability of ``k`` or more of ``n``."""
    if not 0 < rate < 1:
        return float(rate >= 1)
    logs = (math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) for i in range(k, n + 1))
    return math.fsum(
        math.exp(log + i * math.log(rate) + (n - i) * math.log1p(-rate)) for i, log in enumerate(logs, k)
    )
