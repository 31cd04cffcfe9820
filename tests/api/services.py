"""Both services as applications in this process: the real routes over a founded house; a bearer token is a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette

from sandbox.custodian import openapi as custodian_openapi
from sandbox.custodian.api import routes as custodian_routes
from sandbox.custodian.desk import Desk
from sandbox.errors import IdentityInvalid
from sandbox.gate.console.sessions import Sessions
from sandbox.gate.gate import Gate
from sandbox.gate.routes import openapi as gate_openapi
from sandbox.gate.routes.api import routes as gate_routes
from sandbox.gate.routes.vitals import Vitals
from sandbox.service import Caller, Route, application
from sandbox.service.idempotency import Idempotency, KeptAnswers
from sandbox.service.limits import Limits
from sandbox.service.openapi import Docs, document
from tests.fakes.studio import STEWARD
from tests.gate.world import AUDITOR, ENGINEER, OPERATOR, REVIEWERS

STRANGER, NOBODY = "a.stranger", ""
ROLES = {
    "party_a_approver": STEWARD,
    "data_steward": STEWARD,
    "ml_engineer": ENGINEER,
    "operator": OPERATOR,
    "auditor": AUDITOR,
    "privacy_reviewer": REVIEWERS[0],
}
PEOPLE = (STEWARD, ENGINEER, OPERATOR, AUDITOR, REVIEWERS[0], STRANGER, NOBODY)


@dataclass(frozen=True)
class Service:
    """One service: its routes, its application, its description, and ids that exist there, by parameter."""

    name: str
    routes: list[Route]
    app: Starlette
    docs: Docs
    document: dict[str, Any]
    known: Mapping[str, list[str]] = field(default_factory=dict)


def verify(bearer: str) -> Caller:
    """Whoever the token names; some words are no name."""
    if not bearer.isascii() or not bearer.replace(".", "").isalnum():
        raise IdentityInvalid("the identity token is not one of ours", mend="sandbox login NAME")
    return Caller(bearer, 2e9)


def gate_service(
    gate: Gate, known: Mapping[str, list[str]] | None = None, answers: Idempotency | None = None
) -> Service:
    vitals = Vitals()
    routes = gate_routes(gate, Sessions(), vitals)
    return _service("gate", gate_openapi.TITLE, routes, gate_openapi.DOCS, known or {}, answers, vitals.meter)


def custodian_service(
    desk: Desk, known: Mapping[str, list[str]] | None = None, answers: Idempotency | None = None
) -> Service:
    routes = custodian_routes(desk)
    return _service(
        "custodian", custodian_openapi.TITLE, routes, custodian_openapi.DOCS, known or {}, answers, None
    )


def _service(
    name: str,
    title: str,
    routes: list[Route],
    docs: Docs,
    known: Mapping[str, list[str]],
    answers: Idempotency | None,
    meter: Any,
) -> Service:
    app = application(
        routes,
        verify,
        answers or KeptAnswers(":memory:"),
        limits=Limits(1_000_000_000),
        meter=meter,
        prove=lambda name, code, urgent: None,
    )
    return Service(name, routes, app, docs, document(title, routes, docs), known)
