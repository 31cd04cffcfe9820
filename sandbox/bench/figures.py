"""From what was seen to figures: rates, medians, percentiles. Pure."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sandbox.errors import SandboxError


class Unmeasured(SandboxError):
    """Too little was seen to say anything. Nothing is wrong with what was measured, but there is no figure."""

    code = "bench.unmeasured"


@dataclass(frozen=True)
class Beat:
    """A progress message: ``step`` was done ``seconds`` after step 1, by the trainer's own clock."""

    step: int
    seconds: float


def beat(progress: Mapping[str, Any]) -> Beat | None:
    """A progress message as a beat; None for the first one, which has no rate yet.

    ``Run.progress`` says ``rate = step / elapsed``, so the time comes back exactly, whatever the way took.
    """
    step, rate = int(progress["step"]), float(progress["rate"])
    return Beat(step, step / rate) if rate > 0 else None


def beats(lines: Iterable[str]) -> list[Beat]:
    """The beats among the lines that a program outside the sandbox printed; other lines are passed over."""
    found = [beat(value) for value in _objects(lines) if {"step", "rate"} <= value.keys()]
    return [one for one in found if one is not None]


def numbers(lines: Iterable[str]) -> dict[str, float]:
    """Everything else that it said in numbers, by name; what was said last counts."""
    found: dict[str, float] = {}
    for value in _objects(lines):
        if "step" not in value:
            found |= {name: float(n) for name, n in value.items() if isinstance(n, int | float)}
    return found


def _objects(lines: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value


def rate(found: Sequence[Beat], warm_up: int) -> float:
    """Steps a second between the first beat after ``warm_up`` steps and the last.

    Raises Unmeasured when fewer than two beats are left.
    """
    warm = [one for one in found if one.step > warm_up]
    if len(warm) < 2 or warm[-1].seconds <= warm[0].seconds:
        raise Unmeasured(f"{len(warm)} progress messages after {warm_up} steps; two are needed")
    return (warm[-1].step - warm[0].step) / (warm[-1].seconds - warm[0].seconds)


def steady(found: Sequence[Beat], warm_up: int) -> float:
    """Steps a second as they mostly are: the median over the stretches between beats. A save hits few of them.

    Raises Unmeasured when fewer than two beats are left.
    """
    warm = [one for one in found if one.step > warm_up]
    stretches = [
        (later.step - one.step) / (later.seconds - one.seconds)
        for one, later in pairwise(warm)
        if later.seconds > one.seconds
    ]
    if not stretches:
        raise Unmeasured(f"{len(warm)} progress messages after {warm_up} steps; two are needed")
    return median(stretches)


def median(values: Sequence[float]) -> float:
    """Raises Unmeasured when there is none."""
    if not values:
        raise Unmeasured("nothing was measured")
    return float(statistics.median(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that ``percent`` of all values do not exceed (nearest rank). Raises Unmeasured."""
    if not values:
        raise Unmeasured("nothing was measured")
    ordered = sorted(values)
    return float(ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)])


def spread(values: Sequence[float]) -> str:
    """``3 runs, 9.1 to 9.6``."""
    return f"{len(values)} runs, {min(values):.3g} to {max(values):.3g}"
