"""A private step against one that is not, and the ways of Opacus beside it: ``bench/private.py``, outside."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.bench.figures import Unmeasured
from sandbox.bench.outside import Outdoors, printed
from sandbox.bench.rows import Row, at_most_times

PLAIN, OURS = "non-private", "streaming"
OTHERS = {"hooks": "Opacus' hooks", "ghost": "Opacus' ghost clipping"}
TIME_GOAL, MEMORY_GOAL = 1.7, 1.2
PEOPLE, STEPS = 32, 3
LIMIT_S = 900.0


@dataclass(frozen=True)
class Cost:
    """Of one way of making a step. ``accepted`` is why a recipe may not use it, or "accepted"."""

    seconds: float
    peak_mb: float
    accepted: str = "accepted"


def measure(place: Outdoors, size: str = "full") -> list[Row]:
    words = ("--size", size, "--people", str(PEOPLE), "--steps", str(STEPS))
    threads = ("--threads", str(len(os.sched_getaffinity(0))))
    lines = printed(place, "private", *words, *threads, limit_s=LIMIT_S)
    return rows(read(lines), f"FastPitch {size}, {PEOPLE} people")


def read(lines: Iterable[str]) -> dict[str, Cost]:
    """The ways that came to an end, by name."""
    found: dict[str, Cost] = {}
    for line in lines:
        told: Mapping[str, Any] = json.loads(line)
        if "failed" not in told:
            cost = Cost(told["seconds_per_step"], told["peak_mb"], told.get("accepted", "accepted"))
            found[str(told["mode"])] = cost
    return found


def rows(found: Mapping[str, Cost], what: str) -> list[Row]:
    """Raises Unmeasured where either of the two that are held against each other is missing."""
    if PLAIN not in found or OURS not in found:
        raise Unmeasured(f"bench/private.py said nothing of {PLAIN} or {OURS}")
    plain, ours = found[PLAIN], found[OURS]
    shown = [
        at_most_times(f"private step, {what}", ours.seconds, "s", "not private", plain.seconds, TIME_GOAL),
        at_most_times("its peak memory", ours.peak_mb, "MB", "not private", plain.peak_mb, MEMORY_GOAL),
    ]
    for name, said in OTHERS.items():
        if other := found.get(name):
            note = "" if other.accepted == "accepted" else f", refused to recipes ({other.accepted})"
            against = f"{said}{note}: {other.seconds:.3g} s, {other.peak_mb:.0f} MB"
            ratio = ours.peak_mb / other.peak_mb
            shown.append(Row("the same memory", ours.peak_mb, "MB", against, ratio, "less", ratio < 1))
    return shown
