"""The matrix: every point of a sound run with every kind of fault that can happen there. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tests.faults.kinds import KINDS, Kind
from tests.faults.record import Point

LEAST = 40

Case = tuple[Point, Kind]


def matrix(points: Sequence[Point]) -> list[Case]:
    """Point by point. Raises ValueError when the sound run passed too few points to tell anything."""
    if len(points) < LEAST:
        raise ValueError(f"only {len(points)} points were found, and at least {LEAST} are wanted")
    return [(point, kind) for point in points for kind in KINDS if kind.fits(point)]


def telling(cases: Sequence[Case], each: int) -> list[Case]:
    """``each`` cases of every kind, from all over the run."""
    found = []
    for kind in KINDS:
        fitting = [case for case in cases if case[1] is kind]
        step = max(1, len(fitting) // each)
        found += fitting[::step][:each]
    return found
