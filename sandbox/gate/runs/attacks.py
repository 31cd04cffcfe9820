"""What a finished run proves about somebody's epsilon: a membership attack on a model, or an audit of the engine.

The recipe brings numbers; who was in, what was promised to them and what follows is found here. A claim that is proved
false opens an incident in the same transaction: the model, and all that came from it, is no input while it is open.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.gate.database.tables import events, settlements
from sandbox.gate.house import House
from sandbox.gate.incidents import freeze, incident, scopes
from sandbox.gate.incidents.stopped import CLAIM_FALSE
from sandbox.policy import membership
from sandbox.policy.membership import PEOPLE, SCORES
from sandbox.runs import Grant, Kind

STEP = "attack"  # of a settlement
AUDITED = ("claim", "lower_bound")  # the metrics of recipes/privacy-audit


def attacks(plan: Grant) -> bool:
    """Whether a run attacks its input: by what its reviewed card lets out."""
    return (
        plan.kind is Kind.AGREEMENT
        and len(plan.inputs) == 1
        and not plan.inputs[0].public
        and {*SCORES, PEOPLE} <= {metric.name for metric in plan.metrics}
    )


def judge(connection: Connection, plan: Grant) -> dict[str, Any]:
    """What the numbers of an attack say; ``why`` where they say nothing."""
    people = sorted(plan.subjects)
    told = _points(connection, plan.run, *SCORES, PEOPLE)
    if told[PEOPLE] != {0: float(len(people))}:
        return {"why": "it met other people than it was granted"}
    losses = {
        score: {people[place]: loss for place, loss in told[score].items() if 0 <= place < len(people)}
        for score in SCORES
    }
    line = scopes.line(connection, plan.inputs[0].run)
    report = membership.judge(losses, membership.claims(line, plan.dataset))
    if report is None:
        return {"why": "it takes people who were in the model and people who were not"}
    return report.to_json()


def settle(house: House, plan: Grant) -> dict[str, Any]:
    """The judgement of a finished run, its incident where it needs one; empty for a run that attacks nothing."""
    judged = house.store.read(lambda connection: _judged(connection, plan))
    if not judged.get("refutes"):
        return judged
    about, claim, now = f"run:{judged['of']}", judged["claim"]["epsilon"], house.clock()
    detail = {"message": f"epsilon is at least {judged['lower_bound']:.3g}, and {claim:.3g} is claimed"}

    def stop(connection: Connection) -> str:
        name = incident.open_for_run(connection, plan.run, CLAIM_FALSE, detail, now, scope=about)
        freeze.freeze(connection, name, about, [], now)
        return name

    return {**judged, "incident": house.store.transact(stop)}


def _judged(connection: Connection, plan: Grant) -> dict[str, Any]:
    if attacks(plan):
        return {"of": plan.inputs[0].run, **judge(connection, plan)}
    if plan.kind is Kind.DRY and set(AUDITED) <= {metric.name for metric in plan.metrics}:
        return _audited(connection, plan)
    return {}


def _audited(connection: Connection, plan: Grant) -> dict[str, Any]:
    """An audit of the engine; one whose noise was taken out on purpose refutes nothing."""
    told = _points(connection, plan.run, *AUDITED)
    claimed, bound = (next(iter(told[name].values()), None) for name in AUDITED)
    if claimed is None or bound is None:
        return {}
    refutes = membership.refutes(claimed, bound) and plan.parameters.get("noise") is not False
    return {"of": plan.run, "claim": {"epsilon": claimed}, "lower_bound": bound, "refutes": refutes}


def found(connection: Connection, made_by: str) -> list[dict[str, Any]]:
    """Every judged attack on what a run made, oldest first, with the run that it was."""
    from_them = sa.select(settlements.c.run, settlements.c.proof, settlements.c.at).where(
        settlements.c.step == STEP
    )
    return [
        {"run": row.run, "at": row.at, **row.proof}
        for row in connection.execute(from_them.order_by(settlements.c.at, settlements.c.run))
        if row.proof.get("of") == made_by
    ]


def _points(connection: Connection, run: str, *names: str) -> dict[str, dict[int, float]]:
    """Metric -> step -> value; the last one where a step came twice."""
    told: dict[str, dict[int, float]] = {name: {} for name in names}
    asked = sa.select(events.c.data).where(events.c.run == run, events.c.kind == "metric")
    for data in connection.execute(asked.order_by(events.c.id)).scalars():
        if data["name"] in told:
            told[data["name"]][int(data["step"])] = float(data["value"])
    return told
