"""How long the recordings are: counts in bins of a round width."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

MOST = 12  # bins
TENTHS = (1, 2, 5, 10, 20, 50, 100, 200, 500)  # widths, in tenths of a second


@dataclass(frozen=True)
class Bin:
    """``count`` recordings of ``since`` seconds or more and less than ``until``."""

    since: float
    until: float
    count: int


def bins(seconds: Sequence[float]) -> list[Bin]:
    """From the shortest to the longest without a gap, in the narrowest width that needs ``MOST`` bins or fewer."""
    if not seconds:
        return []
    width = next((wide for wide in TENTHS if _span(seconds, wide) <= MOST), TENTHS[-1])
    counts = Counter(_place(length, width) for length in seconds)
    places = range(min(counts), max(counts) + 1)
    return [Bin(at * width / 10, (at + 1) * width / 10, counts[at]) for at in places]


def _place(length: float, width: int) -> int:
    return floor(length * 10 / width)


def _span(seconds: Sequence[float], width: int) -> int:
    return _place(max(seconds), width) - _place(min(seconds), width) + 1
