"""Writing the view: a run with its facts first, metrics, the model it made, how it ended. Only the gate does this.

Every call may be repeated: runs are found by ``gov.run``, models by ``gov.model``. Nothing here is truth, so a fault is
``Unreachable`` and the gate settles without it; ``reconcile`` then names what is missing and ``repair`` writes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sandbox.runs import Grant, Outcome
from sandbox.tracking import card, tags
from sandbox.tracking.client import connect, translated
from sandbox.tracking.tags import ModelRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run
    from mlflow.entities.model_registry import ModelVersion

    from sandbox.tracking.reconcile import Actual, Difference, SignedRun

_STATUS = {Outcome.FINISHED: "FINISHED", Outcome.FAILED: "FAILED", Outcome.KILLED: "KILLED"}
_BATCH = 1000  # metrics a request


@dataclass(frozen=True)
class Point:
    """One metric value that left the container, bounded and quantised; ``at_ms`` since 1970."""

    name: str
    value: float
    step: int
    at_ms: int


class Tracking:
    """MLflow at ``uri``. ``artifacts`` is where an embedded one would keep files; sealed bytes stay with the gate."""

    def __init__(
        self, uri: str, artifacts: str | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.uri, self._artifacts, self._clock = uri, artifacts, clock

    @cached_property
    def client(self) -> MlflowClient:
        return connect(self.uri)

    def open_run(self, grant: Grant, grant_digest: str) -> str:
        """The id of the run in MLflow, with tags, then params, then dataset inputs: all before any recipe exists.

        MLflow's dataset rows belong to the first writer, so the order is the control. Raises Unreachable.
        """
        client = self.client
        with translated():
            where = self._experiment(grant)
            found = self.find(grant.run)
            if found is None:
                facts = tags.governance(grant, grant_digest)
                shown = {"mlflow.user": grant.person, "mlflow.source.name": f"recipe {grant.recipe}"}
                found = client.create_run(where, run_name=grant.run, tags={**facts, **shown})
            name = str(found.info.run_id)
            self._params(name, grant, grant_digest)
            self._inputs(name, grant, grant_digest)
        return name

    def log_metrics(self, run_id: str, points: Iterable[Point]) -> None:
        """Forward what passed the door's bounds. Raises Unreachable."""
        client = self.client
        from mlflow.entities import Metric

        metrics = [Metric(point.name, point.value, point.at_ms, point.step) for point in points]
        with translated():
            for start in range(0, len(metrics), _BATCH):
                client.log_batch(run_id, metrics=metrics[start : start + _BATCH])

    def register_model(
        self, run_id: str, grant: Grant, grant_digest: str, model: ModelRecord, taint: str = ""
    ) -> None:
        """The logged model, registered model and version, each with every fact of the run. Raises Unreachable."""
        client = self.client
        facts = tags.model_facts(grant, grant_digest, model, taint)
        with translated():
            logged = self._logged_model(run_id, facts, model)
            if not client.search_registered_models(f"name = '{model.name}'"):
                client.create_registered_model(model.name, description=tags.experiment(grant)[1])
            # The name outlives its versions: it carries what holds for all of them.
            for key in ("gov.classification", "gov.party", "gov.agreement", "gov.release"):
                client.set_registered_model_tag(model.name, key, facts[key])
            if self._version(model) is None:
                client.create_model_version(
                    model.name,
                    source=logged.artifact_location,
                    run_id=run_id,
                    model_id=logged.model_id,
                    tags=facts,
                    description=card.text(grant, model),
                )

    def settle_run(self, run_id: str, outcome: Outcome, facts: Mapping[str, str]) -> None:
        """How it ended; ``facts`` are ``gov.*`` tags known only now (epsilon, statement digest). Raises Unreachable."""
        client = self.client
        with translated():
            for key, value in facts.items():
                client.set_tag(run_id, key, value[: tags.MAX_VALUE])
            client.set_terminated(run_id, _STATUS[outcome], end_time=int(self._clock() * 1000))

    def taint(self, run: str, model: str | None, why: str) -> None:
        """Mark a run (``r-…``) and its model (``name@version``) as not to be used any more. Raises Unreachable."""
        self._mark(run, model, "gov.taint", why)

    def mark_withdrawn(self, run: str, model: str, whose: str) -> None:
        """Show on a run and its model whose consent was withdrawn since. Raises Unreachable."""
        self._mark(run, model, tags.WITHDRAWN, whose)

    def mark_frozen(self, run: str, model: str, incidents: str) -> None:
        """Show on a run and its model which open incidents hold it; the mark goes with the last. Raises Unreachable."""
        if incidents:
            self._mark(run, model, tags.FROZEN, incidents)
        else:
            self._unmark(run, model, tags.FROZEN)

    def _mark(self, run: str, model: str | None, key: str, why: str) -> None:
        client = self.client
        with translated():
            found = self.find(run)
            if found is not None:
                client.set_tag(found.info.run_id, key, why[: tags.MAX_VALUE])
            if model is not None:
                for version in client.search_model_versions(f"tags.`gov.model` = '{model}'"):
                    client.set_model_version_tag(version.name, version.version, key, why[: tags.MAX_VALUE])
                for logged in self._logged(model):
                    client.set_logged_model_tags(logged.model_id, {key: why[: tags.MAX_VALUE]})

    def _unmark(self, run: str, model: str, key: str) -> None:
        client = self.client
        with translated():
            found = self.find(run)
            if found is not None and key in found.data.tags:
                client.delete_tag(found.info.run_id, key)
            for version in client.search_model_versions(f"tags.`gov.model` = '{model}'"):
                if key in version.tags:
                    client.delete_model_version_tag(version.name, version.version, key)
            for logged in self._logged(model):
                if key in logged.tags:
                    client.delete_logged_model_tag(logged.model_id, key)

    def survey(self) -> Actual:
        """Everything that MLflow shows. Raises Unreachable."""
        from sandbox.tracking.survey import read_all

        return read_all(self)

    def repair(self, expected: Iterable[SignedRun]) -> tuple[Difference, ...]:
        """Write what was signed over what is shown; the differences that are left. Raises Unreachable."""
        from sandbox.tracking.survey import repair

        return repair(self, expected)

    def find(self, run: str) -> Run | None:
        """The live run in MLflow that carries this run's id."""
        from mlflow.entities import ViewType

        ids = [found.experiment_id for found in self.client.search_experiments(view_type=ViewType.ALL)]
        runs = self.client.search_runs(ids, f"tags.`gov.run` = '{run}'", max_results=1) if ids else []
        return runs[0] if runs else None

    def _experiment(self, grant: Grant) -> str:
        name, banner = tags.experiment(grant)
        found = self.client.get_experiment_by_name(name)
        if found is None:
            place = f"{self._artifacts}/{name}" if self._artifacts else None
            return str(self.client.create_experiment(name, place, {"mlflow.note.content": banner}))
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        if found.tags.get("mlflow.note.content") != banner:
            self.client.set_experiment_tag(found.experiment_id, "mlflow.note.content", banner)
        return str(found.experiment_id)

    def _params(self, run_id: str, grant: Grant, grant_digest: str) -> None:
        from mlflow.entities import Param

        values = [Param(name, value) for name, value in tags.params(grant, grant_digest).items()]
        self.client.log_batch(run_id, params=values)

    def _inputs(self, run_id: str, grant: Grant, grant_digest: str) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        given = []
        if grant.dataset is not None and grant.manifest_digest is not None:
            given.append((grant.dataset, grant.manifest_digest, "sealed dataset"))
        given += [(item.path, item.digest, f"sealed artifact of {item.run}") for item in grant.inputs]
        described = tags.profile(grant, grant_digest)
        inputs = [
            DatasetInput(
                Dataset(
                    name, digest[:32], "sealed", f'{{"sha256":"{digest}","what":"{what}"}}', profile=described
                ),
                [InputTag("mlflow.data.context", grant.purpose)],
            )
            for name, digest, what in given
        ]
        if inputs:
            self.client.log_inputs(run_id, inputs)

    def _logged_model(self, run_id: str, facts: Mapping[str, str], model: ModelRecord) -> LoggedModel:
        client = self.client
        where = client.get_run(run_id).info.experiment_id
        if found := self._logged(model.id):
            return found[0]
        made = client.create_logged_model(
            where,
            name=model.name,
            source_run_id=run_id,
            tags=dict(facts),
            params={key: value[:500] for key, value in facts.items() if key not in tags.CHANGING},
            model_type="sealed",
        )
        return client.finalize_logged_model(made.model_id, "READY")

    def _logged(self, model: str) -> list[LoggedModel]:
        where = [found.experiment_id for found in self.client.search_experiments()]
        return list(self.client.search_logged_models(where, filter_string=f"tags.`gov.model` = '{model}'"))

    def _version(self, model: ModelRecord) -> ModelVersion | None:
        found = self.client.search_model_versions(f"name = '{model.name}'")
        return next((one for one in found if one.tags.get("gov.model") == model.id), None)
