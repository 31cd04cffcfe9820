"""MLflow as the gate sees it, in memory; fits ``sandbox.gate.hands.Tracking``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sandbox.errors import SandboxError
from sandbox.runs import Grant, Outcome
from sandbox.tracking import card, tags
from sandbox.tracking.reconcile import Actual, Difference, Shown, SignedRun, compare
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
    withdrawn: dict[str, str] = field(default_factory=dict)  # model -> whose consents
    frozen: dict[str, str] = field(default_factory=dict)  # model -> the incidents that hold it
    digests: dict[str, str] = field(default_factory=dict)  # run -> its grant's
    records: dict[str, ModelRecord] = field(default_factory=dict)
    fault: SandboxError | None = None

    def open_run(self, grant: Grant, grant_digest: str) -> str:
        self._answer()
        self.runs[grant.run], self.digests[grant.run] = grant, grant_digest
        return f"ml-{grant.run}"

    def log_metrics(self, run_id: str, points: Iterable[Point]) -> None:
        self._answer()
        self.points.setdefault(run_id, set()).update(points)

    def register_model(
        self, run_id: str, grant: Grant, grant_digest: str, model: ModelRecord, taint: str = ""
    ) -> None:
        self._answer()
        self.models[model.id], self.records[model.id] = grant.run, model
        if taint:
            self.taints[model.id] = taint

    def settle_run(self, run_id: str, outcome: Outcome, facts: Mapping[str, str]) -> None:
        self._answer()
        self.outcomes[run_id] = outcome
        self.facts[run_id] = dict(facts)

    def taint(self, run: str, model: str | None, why: str) -> None:
        self._answer()
        self.taints[model or run] = why

    def mark_withdrawn(self, run: str, model: str, whose: str) -> None:
        self._answer()
        self.withdrawn[model] = whose

    def mark_frozen(self, run: str, model: str, incidents: str) -> None:
        self._answer()
        self.frozen.pop(model, None)
        if incidents:
            self.frozen[model] = incidents

    def survey(self) -> Actual:
        """Everything that was told, as it would be shown."""
        models = tuple(self._model(name, run) for name, run in self.models.items())
        return Actual(tuple(self._run(run) for run in self.runs), models, models)

    def repair(self, expected: Iterable[SignedRun]) -> tuple[Difference, ...]:
        """Tell again what was signed; the differences that are left."""
        signed = tuple(expected)
        for one in signed:
            place = self.open_run(one.grant, one.grant_digest)
            if one.model is not None:
                self.register_model(place, one.grant, one.grant_digest, one.model, one.taint)
                if one.withdrawn:
                    self.withdrawn[one.model.id] = one.withdrawn
                self.mark_frozen(one.grant.run, one.model.id, one.frozen)
            if one.outcome is not None:
                self.settle_run(place, one.outcome, one.settled)
        return compare(signed, self.survey())

    def _run(self, run: str) -> Shown:
        grant, digest, place = self.runs[run], self.digests[run], f"ml-{run}"
        model = next((name for name, made_by in self.models.items() if made_by == run), run)
        facts = {**tags.governance(grant, digest, self.taints.get(model, "")), **self.facts.get(place, {})}
        facts |= tags.withdrawal(self.withdrawn.get(model, "")) | tags.freeze(self.frozen.get(model, ""))
        status = self.outcomes[place].name if place in self.outcomes else "RUNNING"
        return Shown(run, place, facts, tags.params(grant, digest), status=status)

    def _model(self, name: str, run: str) -> Shown:
        marks = (self.taints.get(name, ""), self.withdrawn.get(name, ""), self.frozen.get(name, ""))
        facts = tags.model_facts(self.runs[run], self.digests[run], self.records[name], *marks)
        return Shown(name, name, facts, description=card.text(self.runs[run], self.records[name]))

    def _answer(self) -> None:
        if self.fault is not None:
            raise self.fault
