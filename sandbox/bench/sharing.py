"""What else the processors do while a training runs: the share of everything that is not the trainer.

Speeds outside and inside are taken minutes apart, and a shared machine is not the same twice. Processor time is: what
gate, keeper, Vault, MLflow and all the rest take of it while the trainer works is what the trainer cannot have.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sandbox.bench.figures import Unmeasured, median
from sandbox.bench.rows import Row, at_most

TRAINER = b"sandbox.training.worker"
EVERY_S = 1.0
GOAL = 2.0  # % of the processors: with it no training is slower than 0.98 of one that has them to itself
WORKING = 0.5  # of the processors, from which on a trainer counts as training
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Look:
    """Seconds so far: of the clock, of all processors' work, of the trainer's."""

    at: float
    busy: float
    trainer: float


class Eye:
    """Looks at ``proc``. The trainer is the one process that trains; it is searched for until it is found."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._trainer: Path | None = None

    def look(self) -> Look:
        """Now; the trainer's seconds are 0 without one, or with one that is going."""
        user, nice, system, _idle, _wait, irq, soft = map(int, (self._proc / "stat").read_text().split()[1:8])
        if self._trainer is None or not _trains(self._trainer):
            entries = (entry for entry in self._proc.iterdir() if entry.name.isdigit())
            self._trainer = next(filter(_trains, entries), None)
        own = 0.0 if self._trainer is None else _spent(self._trainer)
        return Look(time.monotonic(), (user + nice + system + irq + soft) / _TICKS, own)


def _trains(entry: Path) -> bool:
    try:
        return TRAINER in (entry / "cmdline").read_bytes()
    except OSError:
        return False


def _spent(entry: Path) -> float:
    try:
        told = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(told[11]) + int(told[12])) / _TICKS  # utime, stime: proc(5)


@contextmanager
def watched(now: Callable[[], Look] | None = None) -> Iterator[list[Look]]:
    """Look once a second, beside what is done meanwhile; the looks so far, and all of them in the end."""
    over, now, looks = threading.Event(), now or Eye().look, list[Look]()

    def watch() -> None:
        while not over.wait(EVERY_S):
            looks.append(now())

    thread = threading.Thread(target=watch, name="sharing", daemon=True)
    thread.start()
    try:
        yield looks
    finally:
        over.set()
        thread.join()


def share(looks: Sequence[Look], processors: int) -> float:
    """What others took of the processors, in percent, over the stretches in which a trainer worked on them.

    Raises Unmeasured when there were fewer than two.
    """
    others = whole = 0.0
    stretches = 0
    for one, later in pairwise(looks):
        room, own = processors * (later.at - one.at), later.trainer - one.trainer
        if own >= WORKING * room:
            stretches += 1
            others += max(0.0, later.busy - one.busy - own)
            whole += room
    if stretches < 2:
        raise Unmeasured("no trainer was seen at work")
    return 100 * others / whole


def row(what: str, shares: Sequence[float]) -> Row:
    """The median training of a recipe."""
    return at_most(f"beside {what}, all else takes", median(shares), "% of the processors", GOAL)
