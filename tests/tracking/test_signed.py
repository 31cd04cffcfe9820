"""From signed statements alone comes what the gate tells MLflow: nothing less, nothing else."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import Any

import pytest

from sandbox.errors import StatementError
from sandbox.runs import Grant, Kind, Outcome
from sandbox.statements import Statement, open_statement
from sandbox.tracking.reconcile import compare
from sandbox.tracking.signed import signed_runs
from sandbox.tracking.survey import read_all
from sandbox.tracking.tags import ModelRecord
from sandbox.tracking.view import Tracking
from tests.fakes.evidence import KEYS, Book
from tests.tracking.runs import EVALUATION, grant

PLAIN = grant(privacy=None)
DRY = replace(PLAIN, kind=Kind.DRY, agreement="", dataset=None, manifest_digest=None, subjects=())


@dataclass(frozen=True)
class Case:
    """A run's story. ``settled`` stands written out: it is what MLflow shows besides the grant's own facts."""

    grant: Grant
    outcome: Outcome | None
    settled: dict[str, str]
    model: str = ""
    epsilon: float | None = None
    taint: str = ""
    keeps: bool = True  # whether its model is a result


def case(run: str, given: Grant, *rest: Any, **more: Any) -> Case:
    return Case(replace(given, run=run, grant=f"g{run[1:]}"), *rest, **more)


FINISHED, FAILED = {"gov.outcome": "finished"}, {"gov.outcome": "failed"}
CASES = {
    "finished": case("r-finished", PLAIN, Outcome.FINISHED, FINISHED, "digits@1"),
    "with DP": case(
        "r-private", grant(), Outcome.FINISHED, {**FINISHED, "gov.epsilon": "7.98123"}, "digits@2", 7.981234
    ),
    "failed": case("r-failed", EVALUATION, Outcome.FAILED, FAILED),
    "failed after its model was signed": case(
        "r-late", PLAIN, Outcome.FAILED, FAILED, "digits@3", keeps=False
    ),
    "killed, and charged": case(
        "r-killed", grant(), Outcome.KILLED, {"gov.outcome": "killed", "gov.epsilon": "8"}, epsilon=8.0
    ),
    "tainted": case("r-tainted", PLAIN, Outcome.FINISHED, FINISHED, "digits@4", taint="spk erased"),
    "a dry run": case("r-dry", DRY, Outcome.FINISHED, FINISHED),
    "still training": case("r-live", PLAIN, None, {}),
}
TAINTS = {one.model: one.taint for one in CASES.values() if one.taint}


def written(case: Case) -> Book:
    book = Book()
    book.run(case.grant, case.outcome, model=case.model, epsilon=case.epsilon)
    return book


def opened(book: Book) -> list[Statement]:
    return [open_statement(base64.b64decode(row["envelope"]), row["name"], KEYS) for row in book.statements]


def tell(tracking: Tracking, case: Case, book: Book) -> None:
    """MLflow as the gate's settling tells it, with the digests that the statements have."""
    digests = {row["name"]: row["digest"] for row in book.statements}
    place = tracking.open_run(case.grant, digests["grant"])
    if case.model and case.keeps:
        name, _, version = case.model.partition("@")
        artifact = next(one for one in opened(book) if one.name == "artifact").predicate
        described = (artifact["path"], artifact["step"], artifact["size"], artifact["sha256"])
        record = ModelRecord(name, int(version), *described, digests["model"])
        tracking.register_model(place, case.grant, digests["grant"], record)
    if case.outcome is not None:
        tracking.settle_run(place, case.outcome, {**case.settled, "gov.statement": digests["run"]})
    if case.taint:
        tracking.taint(case.grant.run, case.model, case.taint)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_run_comes_back_from_its_statements(case: Case) -> None:
    book = written(case)
    digests = {row["name"]: row["digest"] for row in book.statements}
    (signed,) = signed_runs(opened(book), TAINTS)
    assert (signed.grant, signed.grant_digest) == (case.grant, digests["grant"])
    assert (signed.outcome, signed.taint) == (case.outcome, case.taint)
    assert signed.settled == ({**case.settled, "gov.statement": digests["run"]} if case.outcome else {})
    assert (signed.model.id if signed.model else "") == (case.model if case.keeps else "")


def test_mlflow_shows_what_the_statements_say(tracking: Tracking) -> None:
    books = [written(case) for case in CASES.values()]
    for case, book in zip(CASES.values(), books, strict=True):
        tell(tracking, case, book)
    found = [one for book in books for one in opened(book)]
    assert compare(signed_runs(found, TAINTS), read_all(tracking)) == ()


def test_mlflow_is_written_anew_from_the_statements_alone(tracking: Tracking) -> None:
    found = [one for case in CASES.values() for one in opened(written(case))]
    assert tracking.repair(signed_runs(found, TAINTS)) == ()


@pytest.mark.parametrize("name", ["grant", "run", "artifact", "model"])
def test_a_statement_that_does_not_say_what_it_should_is_refused(name: str) -> None:
    found = opened(written(CASES["with DP"]))
    hollow = [replace(one, predicate={}) if one.name == name else one for one in found]
    with pytest.raises(StatementError):
        signed_runs(hollow, {})


def test_a_model_without_its_artifact_is_refused() -> None:
    found = [one for one in opened(written(CASES["finished"])) if one.name != "artifact"]
    with pytest.raises(StatementError):
        signed_runs(found, {})


def test_the_taint_of_another_model_is_none_of_this_run() -> None:
    (signed,) = signed_runs(opened(written(CASES["finished"])), {"digits@4": "spk erased"})
    assert signed.taint == "" and signed.tags()["gov.taint"] == "none"
