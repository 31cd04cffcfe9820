"""MLflow as the gate sees it, in memory; fits ``sandbox.gate.hands.Tracking``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sandbox.errors import SandboxError
from sandbox.runs import Grant, Outcome
from sandbox.tracking.reconcile import Actual, Difference, SignedRun
from sandbox.tracking.tags import ModelRecord
from sandbox.tracking.view import Point


@dataclass
class FakeTracking:
    """Runs by our id. ``fault`` is raised by every call."""

    runs: dict[str, Grant] = field(default_factory=dict)
    points: dict[str, set[Point]] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)  # model -> run
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    facts: dict[str, Mapping[str, str]] = field(default_factory=dict)
    taints: dict[str, str] = field(default_factory=dict)
    fault: SandboxError | None = None

    def open_run(self, grant: Grant, grant_digest: str) -> str:
        self._answer()
        self.runs[grant.run] = grant
        return f"ml-{grant.run}"

    def log_metrics(self, run_id: str, points: Iterable[Point]) -> None:
        self._answer()
        self.points.setdefault(run_id, set()).update(points)

    def register_model(
        self, run_id: str, grant: Grant, grant_digest: str, model: ModelRecord, taint: str = ""
    ) -> None:
        self._answer()
        self.models[model.id] = grant.run
        if taint:
            self.taints[model.id] = taint

    def settle_run(self, run_id: str, outcome: Outcome, facts: Mapping[str, str]) -> None:
        self._answer()
        self.outcomes[run_id] = outcome
        self.facts[run_id] = dict(facts)

    def taint(self, run: str, model: str | None, why: str) -> None:
        self._answer()
        self.taints[model or run] = why

    def survey(self) -> Actual:
        return Actual()

    def repair(self, expected: Iterable[SignedRun]) -> tuple[Difference, ...]:
        return ()

    def _answer(self) -> None:
        if self.fault is not None:
            raise self.fault
