"""What MLflow should show, read from signed statements: the grants, how the runs ended, the models they made. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sandbox.errors import StatementError
from sandbox.runs import Grant, Outcome
from sandbox.statements import Statement
from sandbox.tracking.reconcile import SignedRun
from sandbox.tracking.tags import ModelRecord


def signed_runs(
    statements: Iterable[Statement],
    taints: Mapping[str, str],
    withdrawn: Mapping[str, str] | None = None,
    frozen: Mapping[str, str] | None = None,
) -> tuple[SignedRun, ...]:
    """One for each signed grant. By model id (``name@version``): ``taints`` are reasons, ``withdrawn`` whose consents,
    ``frozen`` the incidents that hold it.

    Raises StatementError when a statement verifies and does not hold what its name promises.
    """
    by_digest = {found.digest: found for found in statements}
    marks, held = withdrawn or {}, frozen or {}
    try:
        models = {
            str(found.predicate["run"]): _model(found, by_digest)
            for found in by_digest.values()
            if found.name == "model"
        }
        ends = {str(found.predicate["run"]): found for found in by_digest.values() if found.name == "run"}
        return tuple(
            _run(
                found,
                ends.get(str(found.predicate["run"])),
                models.get(str(found.predicate["run"])),
                taints,
                marks,
                held,
            )
            for found in by_digest.values()
            if found.name == "grant"
        )
    except (KeyError, TypeError, ValueError):
        raise StatementError("a statement verifies, and does not say what it should") from None


def _run(
    grant: Statement,
    end: Statement | None,
    model: ModelRecord | None,
    taints: Mapping[str, str],
    marks: Mapping[str, str],
    held: Mapping[str, str],
) -> SignedRun:
    if end is None:
        return SignedRun(Grant.from_predicate(grant.predicate), grant.digest)
    outcome, epsilon = Outcome(end.predicate["outcome"]), end.predicate["epsilon"]
    settled = {"gov.outcome": outcome.value, "gov.statement": end.digest}
    if epsilon is not None:
        settled["gov.epsilon"] = f"{epsilon:g}"
    # A model that was signed for and then could not be evidenced is no result of a run that failed.
    kept = model if outcome is Outcome.FINISHED else None
    taint, mark, held_by = (
        ("", "", "") if kept is None else (found.get(kept.id, "") for found in (taints, marks, held))
    )
    plan = Grant.from_predicate(grant.predicate)
    return SignedRun(plan, grant.digest, outcome, kept, taint, mark, held_by, settled)


def _model(statement: Statement, by_digest: Mapping[str, Statement]) -> ModelRecord:
    said = statement.predicate
    artifact = by_digest[str(said["artifact"])].predicate
    return ModelRecord(
        name=str(said["model"]),
        version=int(said["version"]),
        path=str(artifact["path"]),
        step=int(artifact["step"]),
        size=int(artifact["size"]),
        sha256=str(artifact["sha256"]),
        statement=statement.digest,
    )
