"""What stands: while an incident of its scope is open, nothing is admitted, and what was made in it is no input."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from sandbox.errors import Reason, Refused
from sandbox.gate.database.store import Store
from sandbox.gate.database.tables import incidents, models
from sandbox.gate.incidents import scopes
from sandbox.gate.incidents.scopes import ALL
from sandbox.policy.facts import Facts
from sandbox.runs import Request

#: The kind of incident that a person opens to stop a scope; what opens by itself stops its own run only.
KILL = "asked"
#: That of a kill drill, which stops a scope of its own.
DRILL = "drill"
KILLS = (KILL, DRILL)
#: What opens by itself where an attack proves a model's epsilon false: the model and all that came from it is frozen.
CLAIM_FALSE = "privacy.claim_false"
FREEZES = (*KILLS, CLAIM_FALSE)
#: Built once: every decision asks it twice.
_OPEN = (
    sa.select(incidents.c.id, incidents.c.kind, incidents.c.scope)
    .where(incidents.c.closed_at.is_(None))
    .order_by(incidents.c.at, incidents.c.id)
)


def kill_all_stands(connection: Connection) -> bool:
    """Whether everything is stopped, until somebody resumes it."""
    asked = sa.select(incidents.c.id).where(incidents.c.scope == ALL, incidents.c.closed_at.is_(None))
    return connection.execute(asked.limit(1)).first() is not None


def refuse_while_all_is_stopped(store: Store) -> None:
    """Without a login no fact can be read, so there is nothing to decide upon. Raises Refused."""
    found = store.read(lambda c: [row for row in _open(c) if row.scope == ALL])
    if found:
        mend = "another operator or an approver of Party A resumes it when it is over"
        reasons = [Reason("incident.open", ALL, f"incident {row.id} is open", mend) for row in found]
        raise Refused("everything is stopped", reasons=tuple(reasons))


def standing_incidents(connection: Connection, request: Request, facts: Facts) -> list[Reason]:
    """Why a request is not admitted now; state first, then what runs is stopped."""
    found = []
    for row in _open(connection):
        scope = scopes.parse(row.scope)
        if _asked_for(scope, request, facts):
            says = f"incident {row.id} is open"
            found.append(Reason("incident.open", row.scope, says, "the operator resumes it when it is over"))
        if row.kind in FREEZES:
            found += _frozen(connection, row, scope, request.inputs.values())
    return found


def _asked_for(scope: scopes.Scope, request: Request, facts: Facts) -> bool:
    dataset = (request.dataset or "").partition("@")[0]
    match scope.kind:
        case "all":
            return True
        case "person":
            return facts.name == scope.value
        case "agreement":
            return request.agreement == scope.value
        case "dataset":
            return dataset == scope.value
        case "recipe":
            return request.recipe_digest == scope.value
        case "subject":
            asked = request.subjects
            if asked is None:
                asked = facts.manifest.subjects if facts.manifest is not None else ()
            return scope.holds(asked, dataset)
    return False  # a run's: that one only, which is there already


def _frozen(
    connection: Connection, row: Row[tuple[str]], scope: scopes.Scope, named: Iterable[str]
) -> list[Reason]:
    """The inputs that were made in the scope."""
    found = []
    for asked in named:
        model, _, version = asked.partition("@")
        if not version.isdecimal():
            continue
        chosen = sa.and_(models.c.name == model, models.c.version == int(version))
        run = connection.execute(sa.select(models.c.run).where(chosen)).scalar()
        if run is None and model.startswith("r-"):  # a checkpoint, by the run that left it
            run = model
        if run is not None and scopes.reaches(connection, scope, str(run)):
            found.append(_held(row, asked))
    return found


def _held(row: Row[tuple[str]], model: str) -> Reason:
    if row.kind == CLAIM_FALSE:
        says = f"an attack proved its epsilon, or that of what it came from, false: incident {row.id} is open"
        mend = f"sandbox incident show {row.id}; the operator resumes it once it is explained"
        return Reason("model.claim_false", model, says, mend, "3.2(c)")
    says = f"it is frozen: it comes from {row.scope}, and incident {row.id} is open"
    return Reason("model.frozen", model, says, "the operator resumes the incident when it is over")


def _open(connection: Connection) -> list[Row[tuple[str]]]:
    return list(connection.execute(_OPEN))
