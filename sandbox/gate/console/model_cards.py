"""A model's card: what was signed when it was made, what is known of its quality, and how it stands today.

The signed half is :mod:`sandbox.tracking.card`, word for word as MLflow shows it. Quality is what evaluating runs let
out through their doors: numbers that a recipe reported, so they are shown with the run that reported them.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from sandbox.errors import NotFound
from sandbox.gate.database.tables import models, runs, settlements
from sandbox.gate.incidents import freeze
from sandbox.gate.routes import report
from sandbox.gate.runs import attacks
from sandbox.gate.subjects import heritage, withdrawal
from sandbox.runs import Grant, Outcome
from sandbox.tracking import card
from sandbox.tracking.tags import ModelRecord


def of(connection: Connection, name: str) -> dict[str, Any]:
    """The card of ``name@version``. Raises NotFound."""
    row = _row(connection, name)
    plan, record = _made(connection, row.run)
    return {
        "model": f"{row.name}@{row.version}",
        "run": row.run,
        "made_at": row.at,
        "data": card.data(plan),
        "people": len(heritage.speakers(connection, row.run)),
        "training": card.training(plan, record),
        "privacy": card.privacy(plan),
        "limits": list(card.LIMITS),
        "standing": standing(connection, row),
        "quality": quality(connection, row.run),
        "attacks": attacks.found(connection, row.run),
        "text": card.text(plan, record),
    }


def standing(connection: Connection, row: Row[Any]) -> list[tuple[str, str]]:
    """What holds of it now: everything that keeps it from being used, or that nothing does."""
    found = [("classification", "party_a_confidential_derivative"), ("release", "denied")]
    if row.taint:
        found.append(("tainted", row.taint))
    if whose := withdrawal.marks(connection).get(f"{row.name}@{row.version}", ""):
        found.append(("consent withdrawn since", whose))
    if held := freeze.marks(connection).get(f"{row.name}@{row.version}", ""):
        found.append(("frozen by", held))
    if proved := [one["run"] for one in attacks.found(connection, row.run) if one.get("refutes")]:
        found.append(("epsilon proved false by", " ".join(proved)))
    return found


def quality(connection: Connection, made_by: str) -> list[dict[str, Any]]:
    """Of each metric the last value: of the run that made it, then of every finished run that had it as input."""
    found = _last(connection, made_by, "train")
    asked = sa.select(runs.c.id, runs.c.purpose, runs.c.plan).where(runs.c.outcome == Outcome.FINISHED.value)
    for row in connection.execute(asked.order_by(runs.c.asked_at, runs.c.id)):
        if any(item["run"] == made_by for item in row.plan["inputs"]):
            found += _last(connection, row.id, row.purpose)
    return found


def _last(connection: Connection, run: str, purpose: str) -> list[dict[str, Any]]:
    return [
        {"run": run, "purpose": purpose, "metric": name, **points[-1]}
        for name, points in sorted(report.metrics_of(connection, run).items())
    ]


def _row(connection: Connection, model: str) -> Row[Any]:
    name, _, version = model.partition("@")
    if version.isascii() and version.isdecimal() and len(version) < 9:
        asked = sa.select(models).where(models.c.name == name, models.c.version == int(version))
        if (row := connection.execute(asked).first()) is not None:
            return row
    raise NotFound(f"there is no model {model[:80]!r}", code="model.unknown", mend="sandbox models list")


def _made(connection: Connection, run: str) -> tuple[Grant, ModelRecord]:
    """The grant of the run and the model that it was signed for. Raises NotFound while it is being signed."""
    plan = connection.execute(sa.select(runs.c.plan).where(runs.c.id == run)).scalar_one()
    proof = sa.select(settlements.c.proof).where(settlements.c.run == run, settlements.c.step == "model")
    record = (connection.execute(proof).scalar() or {}).get("record")
    if record is None:
        raise NotFound(
            f"the model of {run} is not signed for yet", code="model.unsettled", mend="wait for the run"
        )
    return Grant.from_predicate(plan), ModelRecord(**record)
