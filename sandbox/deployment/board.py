"""The board on which the supervisor writes what it is doing, for ``up`` and ``status`` to read."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.deployment.files import read_json, write_json
from sandbox.deployment.places import Places
from sandbox.errors import SandboxError

STEPS = ("vault", "bootstrap", "image", "services")


@dataclass
class Step:
    """One step of coming up: ``state`` is running, done or failed; ``at`` is Unix time."""

    name: str
    state: str = "running"
    detail: str = ""
    at: float = 0.0
    seconds: float = 0.0


@dataclass
class Board:
    """What the supervisor of a state says of itself; written whole at every change."""

    places: Places
    pid: int
    started_at: float
    clock: Callable[[], float] = time.time
    phase: str = "coming up"  # coming up | up | going down | down | failed
    steps: list[Step] = field(default_factory=list)
    services: dict[str, dict[str, object]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    _last: dict[str, Any] = field(default_factory=dict)

    def begin(self, name: str, detail: str = "") -> None:
        self.steps.append(Step(name, at=self.clock(), detail=detail))
        self.post()

    def note(self, detail: str) -> None:
        self.steps[-1].detail = detail
        self.post()

    def finish(self, detail: str = "") -> None:
        step = self.steps[-1]
        step.state, step.seconds = "done", self.clock() - step.at
        step.detail = detail or step.detail
        self.post()

    def fail(self, fault: SandboxError) -> None:
        if self.steps and self.steps[-1].state == "running":
            self.steps[-1].state = "failed"
        self.phase = "failed"
        self.failed = {
            "code": fault.code,
            "message": fault.message,
            "mend": fault.mend,
            "exit": str(fault.exit_code),
        }
        self.post()

    def post(self) -> None:
        """Write it, if it changed."""
        now = {
            "pid": self.pid,
            "started_at": self.started_at,
            "phase": self.phase,
            "steps": [asdict(step) for step in self.steps],
            "services": self.services,
            "failed": self.failed,
        }
        if now != self._last:
            write_json(self.places.status, now, 0o600)
            self._last = {**now, "services": dict(self.services)}


def read(places: Places) -> dict[str, Any]:
    """The board as last written; empty when there never was one, or this user may not read it."""
    return read_json(places.status)
