"""How long the gate takes to decide, while requests come at an offered rate whether it is done or not.

Service time is from when a request's turn comes to its answer; what it waited for its turn is told apart (GATE.md). It
is measured through the gate's API, and again inside a gate's own admission on SQLite and on PostgreSQL, where Vault and
HTTP have no part.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.bench import figures
from sandbox.bench.admitting import deciders
from sandbox.bench.ground import Ground
from sandbox.bench.postgres import cluster
from sandbox.bench.rows import Row, at_most

GOAL_MS = 20.0
RATE = 100.0  # decisions a second
LANES = 2  # requests that are served beside each other: one a core
WARM_UP = 20


@dataclass(frozen=True)
class Served:
    """One request: seconds it waited for its turn, and seconds until its answer."""

    waited: float
    service: float


def measure(ground: Ground, count: int) -> list[Row]:
    """``count`` dry decisions of a training run each, arriving at random ``RATE`` times a second."""
    request = {"request": ground.request("digits").to_json(), "dry_run": True}
    with _asking(ground, request) as lanes:
        rows = [row("decision, p99", _loaded(lanes, count))]
    with ground.doing("deciding in the gate"):
        database = ground.places.state / "gate" / "private" / "gate.db"
        rows += in_a_gate(database, ground.work, count)
    return rows


def in_a_gate(database: Path, work: Path, count: int) -> list[Row]:
    """The same decisions on each database; the facts are those of the newest that stands in ``database``."""
    rows = []
    with deciders(f"sqlite:///{work / 'deciding.db'}", database, LANES) as lanes:
        rows.append(row("decision in the gate, SQLite, p99", _loaded(lanes, count)))
    with cluster() as running, deciders(running.create("deciding"), database, LANES) as lanes:
        rows.append(row("decision in the gate, PostgreSQL, p99", _loaded(lanes, count)))
    return rows


def _loaded(lanes: Sequence[Callable[[], None]], count: int) -> list[Served]:
    for ask in lanes:
        for _ in range(WARM_UP):
            ask()
    return offered(lanes, arrivals(count, RATE, random.Random(1)))  # noqa: S311 - the same load every time


@contextmanager
def _asking(ground: Ground, request: dict[str, object]) -> Iterator[list[Callable[[], None]]]:
    """A connection for each lane."""
    with ground.gate() as one, ground.gate() as other:
        yield [lambda gate=gate: gate.post("/v1/runs", request) and None for gate in (one, other)]  # type: ignore[misc]


def arrivals(count: int, rate: float, chance: random.Random) -> list[float]:
    """Seconds at which requests arrive: a Poisson process."""
    found, now = [], 0.0
    for _ in range(count):
        now += chance.expovariate(rate)
        found.append(now)
    return found


def offered(
    lanes: Sequence[Callable[[], None]],
    times: Sequence[float],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Served]:
    """Ask at each of ``times``, or as soon as a lane is free; what a request waited for that is told apart.

    An open loop: nothing is left out because the one before took long. Whatever a lane raises is raised.
    """
    found, faults = list[Served](), list[BaseException]()
    waiting, lock, started = iter(times), threading.Lock(), clock()

    def work(ask: Callable[[], None]) -> None:
        try:
            while not faults:
                with lock:
                    due = next(waiting, None)
                if due is None:
                    return
                sleep(max(0.0, started + due - clock()))
                began = clock()
                ask()
                found.append(Served(max(0.0, began - started - due), clock() - began))
        except BaseException as fault:  # noqa: BLE001 - it is raised where the rows are made
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(ask,), name=f"lane-{n}") for n, ask in enumerate(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return found


def row(name: str, found: Sequence[Served]) -> Row:
    service = [one.service * 1000 for one in found]
    waited = [one.waited * 1000 for one in found]
    told = f"{len(found)} at {RATE:g}/s, median {figures.median(service):.1f} ms"
    told += f"; queueing apart: p99 {figures.percentile(waited, 99):.1f} ms"
    return at_most(name, figures.percentile(service, 99), "ms", GOAL_MS, told)
