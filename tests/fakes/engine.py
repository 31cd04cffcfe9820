"""A launcher without an engine: a "container" is a thread that behaves like a keeper, at the real door.

It outlives the gate that started it, as a real one does: tests let a gate die and a second one find the container.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.errors import EngineError, SandboxError
from sandbox.isolation.launcher_client import Found, Started
from sandbox.isolation.spec import Spec, expected
from sandbox.runs import ExitClass


class Gone(Exception):
    """The container was killed: nothing in it goes on."""


@dataclass
class Container:
    """``behave`` is its program; ``closing`` is called when it dies, so that its sockets close as a process's do."""

    spec: Spec
    behave: Callable[[Container], None]
    order: queue.Queue[bytes] = field(default_factory=queue.Queue)
    exit: ExitClass | None = None
    closing: Callable[[], None] = lambda: None
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def alive(self) -> bool:
        return not self.ended.is_set()

    def begin(self) -> None:
        threading.Thread(target=self._work, name=f"container-{self.spec.run}", daemon=True).start()

    def check(self) -> None:
        if not self.alive:
            raise Gone

    def end(self, how: ExitClass) -> None:
        if self.alive:
            self.exit = how
            self.ended.set()
            self.closing()

    def read_order(self) -> bytes:
        while True:
            self.check()
            try:
                return self.order.get(timeout=0.05)
            except queue.Empty:
                continue

    def _work(self) -> None:
        try:
            self.behave(self)
        except Gone:
            self.closing()  # also what was opened while it died
        except (SandboxError, OSError):
            self.end(ExitClass.NONZERO)
        else:
            self.end(ExitClass.ZERO)


class FakeEngine:
    """Fits ``sandbox.gate.hands.Launcher``. ``behave`` is what the next containers do."""

    def __init__(self, behave: Callable[[Container], None]) -> None:
        self.behave = behave
        self.containers: dict[str, Container] = {}
        self.started: list[str] = []
        self.seen: dict[str, object] = {}  # what the kernel shows differently than asked
        self.fault: SandboxError | None = None  # the engine fails

    def start(self, spec: Spec) -> Started:
        self._work()
        if spec.run in self.started:
            raise EngineError("this run had its container", code="run.started_twice")
        self.started.append(spec.run)
        self.containers[spec.run] = container = Container(spec, self.behave)
        container.begin()
        return Started(f"id-{spec.run}", os.getpid(), "podman")

    def stdin(self, run: str, data: bytes) -> None:
        self._work()
        self.containers[run].order.put(data)

    def readback(self, run: str) -> Mapping[str, Any]:
        self._work()
        return {**expected(self.containers[run].spec), **self.seen}

    def kill(self, run: str) -> None:
        self._work()
        if run in self.containers:
            self.containers[run].end(ExitClass.KILLED)

    def strike(self, runs: Sequence[str]) -> list[str]:
        self._work()
        for run in runs:
            if run in self.containers:
                self.containers[run].end(ExitClass.KILLED)
        return []

    def wait(self, run: str, timeout_s: float | None = None) -> ExitClass:
        found = self.containers.get(run)
        if found is None:
            return ExitClass.GONE
        if not found.ended.wait(timeout_s):
            raise TimeoutError("it still runs")
        return found.exit or ExitClass.GONE

    def list(self) -> list[Found]:
        self._work()
        return [Found(run, f"id-{run}", os.getpid()) for run, c in self.containers.items() if c.alive]

    def _work(self) -> None:
        if self.fault is not None:
            raise self.fault


def crowd(*runs: str) -> list[Found]:
    """Containers that an engine might know of."""
    return [Found(run, f"id-{run}", 1) for run in runs]
