"""How long the gate takes to decide: facts, rules and the log entry, through its API, under an offered rate."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sandbox.bench import figures
from sandbox.bench.ground import Ground
from sandbox.bench.rows import Row, at_most

GOAL_MS = 20.0
RATE = 10.0  # decisions a second
WARM_UP = 20


@dataclass(frozen=True)
class Served:
    """One request: seconds it waited for its turn, and seconds until its answer."""

    waited: float
    service: float


def measure(ground: Ground, count: int) -> Row:
    """``count`` dry decisions of a training run, one after the other, arriving at random ``RATE`` times a second."""
    request = {"request": ground.request("digits").to_json(), "dry_run": True}
    with ground.gate() as gate:

        def ask() -> None:
            gate.post("/v1/runs", request)

        for _ in range(WARM_UP):
            ask()
        found = offered(ask, arrivals(count, RATE, random.Random(1)))  # noqa: S311 - the same load every time
    return row(found)


def arrivals(count: int, rate: float, chance: random.Random) -> list[float]:
    """Seconds at which requests arrive: a Poisson process."""
    found, now = [], 0.0
    for _ in range(count):
        now += chance.expovariate(rate)
        found.append(now)
    return found


def offered(
    ask: Callable[[], None],
    times: Sequence[float],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Served]:
    """Ask at each of ``times``, or as soon as the one before is answered; what it waited for that is told apart."""
    started, found = clock(), []
    for due in times:
        sleep(max(0.0, started + due - clock()))
        began = clock()
        ask()
        found.append(Served(max(0.0, began - started - due), clock() - began))
    return found


def row(found: Sequence[Served]) -> Row:
    service = [one.service * 1000 for one in found]
    waited = [one.waited * 1000 for one in found]
    told = f"{len(found)} at {RATE:g}/s, median {figures.median(service):.1f} ms"
    told += f"; queueing apart: p99 {figures.percentile(waited, 99):.1f} ms"
    return at_most("decision, p99", figures.percentile(service, 99), "ms", GOAL_MS, told)
