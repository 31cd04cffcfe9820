"""A real MLflow on a real database."""

from __future__ import annotations

import json

import pytest

from sandbox.errors import Unreachable
from sandbox.runs import CLASSIFICATION, Kind, Outcome
from sandbox.tracking import tags
from sandbox.tracking.reconcile import compare
from sandbox.tracking.survey import read_all
from sandbox.tracking.view import Point, Tracking
from tests.tracking.conftest import show
from tests.tracking.runs import DIGEST, EVALUATION, EXPECTED, MODEL, SIGNED, grant


def test_facts_stand_in_tags_params_and_profile_before_anything_else(tracking) -> None:
    run = tracking.client.get_run(tracking.open_run(grant(), DIGEST))
    facts = tags.governance(grant(), DIGEST)
    assert facts.items() <= run.data.tags.items()
    assert {
        key: value for key, value in facts.items() if key not in tags.CHANGING
    }.items() <= run.data.params.items()
    assert run.data.params["steps"] == "100" and run.data.metrics == {}
    (given,) = run.inputs.dataset_inputs
    assert given.dataset.name == "digits" and given.dataset.digest == "b" * 32
    assert json.loads(given.dataset.profile)["gov.classification"] == CLASSIFICATION
    assert run.info.status == "RUNNING"


def test_the_experiment_wears_the_notice(tracking) -> None:
    tracking.open_run(grant(), DIGEST)
    note = tracking.client.get_experiment_by_name("dsa-2026-0001").tags["mlflow.note.content"]
    assert note.startswith("**Confidential") and "dsa-2026-0001" in note


def test_no_pseudonym_reaches_mlflow(shown) -> None:
    assert "spk_" not in json.dumps(read_all(shown).to_json())


def test_a_run_is_opened_once(tracking) -> None:
    assert tracking.open_run(grant(), DIGEST) == tracking.open_run(grant(), DIGEST)
    assert len(read_all(tracking).runs) == 1


def test_a_given_model_stands_among_the_inputs(tracking) -> None:
    run = tracking.client.get_run(tracking.open_run(EVALUATION, DIGEST))
    assert [one.dataset.name for one in run.inputs.dataset_inputs] == ["model"]
    assert run.data.tags["gov.inputs"] == "9" * 64


def test_metrics_arrive(tracking) -> None:
    run = tracking.open_run(grant(), DIGEST)
    tracking.log_metrics(run, [Point("loss", 1 / (n + 1), n, 1_795_000_000_000 + n) for n in range(1200)])
    assert len(tracking.client.get_metric_history(run, "loss")) == 1200


def test_a_model_carries_every_fact_of_its_run(shown) -> None:
    (version,) = shown.client.search_model_versions("name = 'digits'")
    facts = tags.model_facts(grant(), DIGEST, MODEL)
    assert facts.items() <= version.tags.items() and version.version == 1
    (logged,) = read_all(shown).logged
    assert facts.items() <= logged.tags.items()
    name = shown.client.get_registered_model("digits")
    assert name.tags["gov.classification"] == CLASSIFICATION and name.description.startswith("**Confidential")


def test_a_model_is_registered_once(shown) -> None:
    show(shown, SIGNED)
    assert len(read_all(shown).versions) == len(read_all(shown).logged) == 1


def test_a_settled_run_has_ended(tracking) -> None:
    run = tracking.open_run(grant(), DIGEST)
    tracking.settle_run(run, Outcome.KILLED, {"gov.statement": "8" * 64})
    found = tracking.client.get_run(run)
    assert (found.info.status, found.info.end_time) == ("KILLED", 1_795_000_000_000)
    assert found.data.tags["gov.statement"] == "8" * 64


def test_taint_reaches_run_and_model(shown) -> None:
    shown.taint("r-2345", "digits@1", "spk erased")
    found = read_all(shown)
    assert {
        one.tags["gov.taint"] for one in (*found.runs, *found.versions) if one.id in ("r-2345", "digits@1")
    } == {"spk erased"}


def test_a_dry_run_stands_apart_and_is_no_derivative(tracking) -> None:
    dry = grant(kind=Kind.DRY, agreement="", dataset=None, manifest_digest=None, subjects=(), privacy=None)
    run = tracking.client.get_run(tracking.open_run(dry, DIGEST))
    assert run.data.tags["gov.classification"] == "public"
    assert tracking.client.get_experiment(run.info.experiment_id).name == "dry-runs"


def test_what_is_shown_is_what_was_signed(shown) -> None:
    assert compare(EXPECTED, read_all(shown)) == ()


@pytest.mark.parametrize("uri", ["sqlite:////dev/null/nowhere/mlflow.db", "http://127.0.0.1:9"])
def test_a_server_that_does_not_answer_is_one_clear_fault(uri, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(Unreachable) as fault:
        Tracking(uri).open_run(grant(), DIGEST)
    assert fault.value.code in ("tracking.unreachable", "tracking.refused")
    assert "nowhere" not in str(fault.value)
