"""The gate's API: what people ask it to do. Reading is in :mod:`sandbox.gate.routes.reads`."""

from __future__ import annotations

import json
from typing import Any

from sandbox.errors import NotPermitted, StatementError, Usage
from sandbox.gate.console.sessions import Sessions
from sandbox.gate.deciding.recipes import decode
from sandbox.gate.gate import Gate
from sandbox.gate.incidents import incident
from sandbox.gate.incidents.kill import stop
from sandbox.gate.incidents.scopes import ALL, WRITTEN
from sandbox.gate.routes import openapi
from sandbox.gate.routes.alerting import alerting
from sandbox.gate.routes.auditing import auditing
from sandbox.gate.routes.basing import basing
from sandbox.gate.routes.drilling import drilling
from sandbox.gate.routes.pausing import pausing
from sandbox.gate.routes.reads import reading
from sandbox.gate.routes.reviewing import reviewing
from sandbox.gate.routes.standing import (
    APPROVER,
    ENGINEER,
    EVERYBODY,
    OPERATOR,
    STEWARD,
    STOPPERS,
    require,
    require_at_once,
    roles_at_once,
)
from sandbox.gate.routes.vitals import Vitals, counting, vital_routes
from sandbox.gate.runs import chronicle, replan
from sandbox.gate.subjects import receipts, rights, subject_report
from sandbox.policy.recipe import read_card
from sandbox.runs import Compute, Kind, Request, recipe_digest
from sandbox.service import Call, Reply, Route, journal
from sandbox.service.openapi import openapi_route

RECIPE_BODY_BYTES = 8 << 20
DRY_TIME_S = 3600


def routes(gate: Gate, sessions: Sessions, vitals: Vitals | None = None) -> list[Route]:
    """Every route of ``api.sock``."""
    vitals = vitals or Vitals()
    found = [
        Route("GET", "/v1/health", lambda _: {"ok": True, "program": "gate"}, open=True),
        *vital_routes(gate, vitals),
        Route("POST", "/v1/runs", lambda call: counting(vitals.meter, lambda: _ask(gate, call))),
        Route("POST", "/v1/dry-runs", lambda call: _dry_run(gate, call), body_bytes=RECIPE_BODY_BYTES),
        Route("POST", "/v1/runs/{id}/kill", lambda call: _kill(gate, call), urgent=True),
        Route("POST", "/v1/runs/{id}/again", lambda call: _again(gate, call)),
        Route("POST", "/v1/recipes", lambda call: _submit(gate, call), body_bytes=RECIPE_BODY_BYTES),
        Route("POST", "/v1/receipts", lambda call: _receipt(gate, call)),
        Route("POST", "/v1/subjects/{subject}/report", lambda call: _report(gate, call)),
        Route("POST", "/v1/incidents", lambda call: _stop(gate, call), urgent=True, fresh=True),
        Route("POST", "/v1/incidents/{id}/resume", lambda call: _resume(gate, call), fresh=True),
        Route("POST", "/v1/browser-sessions", lambda call: _session(gate, sessions, call), secret=True),
        *basing(gate),
        *reviewing(gate),
        *pausing(gate),
        *drilling(gate),
        *alerting(gate),
        *auditing(gate),
        *reading(gate),
    ]
    return [*found, openapi_route(openapi.TITLE, found, openapi.DOCS)]


def _ask(gate: Gate, call: Call) -> Reply:
    """Admit a run and begin it, or only decide. The same Idempotency-Key is the same run, also after a restart."""
    body = call.body
    request = _request(body.get("request"))
    if request.kind is not Kind.AGREEMENT:
        raise Usage("a dry run is asked for at /v1/dry-runs")
    only_decide = body.get("dry_run") is True
    found = gate.admission.ask(request, call.caller.name, key=call.idempotency_key, only_decide=only_decide)
    if found.run:
        gate.supervision.begin(found.run)
        journal.say("run.admitted", run=found.run, decision=found.decision, person=call.caller.name)
    return Reply({"run": found.run, "grant": found.grant, "decision": found.decision, "permitted": True})


def _dry_run(gate: Gate, call: Call) -> dict[str, Any]:
    """A recipe on public speech, outside any agreement; who sends it needs no reviewer, and nothing is kept."""
    require(gate.registers, call.caller.name, ENGINEER)
    body = call.body
    files = decode(body)
    card, digest = read_card(files), recipe_digest(files)
    gate.house.recipes.submit(body, call.caller.name)
    parameters: dict[str, Any] = dict(body.get("parameters") or {})
    if speak := body.get("speak"):
        parameters["speak"] = speak
    limit = min(DRY_TIME_S, gate.house.settings().run_time_max_s)
    request = Request(
        recipe=card.name,
        recipe_digest=digest,
        agreement="",
        purpose="train" if "train" in card.purposes else card.purposes[0],
        dataset=None,
        subjects=None,
        inputs={},
        privacy=None,
        compute=Compute(time_limit_s=limit),
        parameters=parameters,
        kind=Kind.DRY,
    )
    found = gate.admission.ask(request, call.caller.name, key=call.idempotency_key)
    gate.supervision.begin(found.run)
    return {"run": found.run, "decision": found.decision}


def _again(gate: Gate, call: Call) -> dict[str, Any]:
    """A run that lost a voice, without it, where the agreement lets it be planned anew."""
    run, key = call.params["id"], call.idempotency_key
    besides = call.body.get("without") or []
    if not isinstance(besides, list) or not all(isinstance(name, str) for name in besides):
        raise Usage("without is a list of subjects")
    kept = f"again {run} {key}" if key else ""
    found = replan.again(gate, run, call.caller.name, rights.barred(gate), kept, besides)
    gate.supervision.begin(found.run)
    journal.say("run.replanned", run=found.run, before=run, person=call.caller.name)
    return {"run": found.run, "grant": found.grant, "decision": found.decision, "permitted": True}


def _kill(gate: Gate, call: Call) -> dict[str, Any]:
    """Set the kill, then kill the container at once; the supervisor proves and settles."""
    house, run, name = gate.house, call.params["id"], call.caller.name
    row = house.store.read(lambda connection: chronicle.find(connection, run))
    if row.person != name and not set(roles_at_once(gate.registers, name)) & set(STOPPERS):
        raise NotPermitted(f"{name} may stop only their own runs", mend="an operator may stop any")
    reason = str(call.body.get("reason") or "asked")[:200]
    return {"run": run, **kill(gate, run, name, reason)}


def kill(gate: Gate, run: str, by: str, reason: str) -> dict[str, Any]:
    """Ask for a run's end; the database first, and no other service is waited for before it is written."""
    house, now = gate.house, gate.house.clock()
    fresh = house.store.transact(lambda c: chronicle.ask_kill(c, run, by, reason, now))
    if fresh:
        gate.supervision.strike(run)
    return {"killed": fresh}


def _submit(gate: Gate, call: Call) -> dict[str, Any]:
    require(gate.registers, call.caller.name, ENGINEER)
    return gate.house.recipes.submit(call.body, call.caller.name)


def _stop(gate: Gate, call: Call) -> dict[str, Any]:
    require_at_once(gate.registers, call.caller.name, *STOPPERS)
    scope = call.body.get("scope")
    if not isinstance(scope, str):
        raise Usage("an incident has a scope", mend=WRITTEN)
    return stop(gate.house, scope, call.caller.name)


def _receipt(gate: Gate, call: Call) -> dict[str, Any]:
    """The gate's part of an erasure, for whoever carries it to the custodian."""
    require(gate.registers, call.caller.name, STEWARD, APPROVER)
    given = call.body.get("speakers")
    if not isinstance(given, list) or not all(isinstance(one, list) and len(one) == 2 for one in given):
        raise Usage("speakers is a list of [dataset, subject]")
    speakers = [(str(dataset), str(subject)) for dataset, subject in given]
    return receipts.receipt(gate, str(call.body.get("stage")), speakers)


def _report(gate: Gate, call: Call) -> Reply:
    """What is held of a person; exact bytes, which the store of repeated answers does not keep."""
    answer = subject_report.report(gate, call.caller.name, call.params["subject"])
    return Reply(json.dumps(answer).encode(), headers={"Cache-Control": "no-store"})


def _resume(gate: Gate, call: Call) -> dict[str, Any]:
    name = call.params["id"]
    found = gate.house.store.read(lambda connection: incident.find(connection, name))
    require(gate.registers, call.caller.name, *((OPERATOR, APPROVER) if found.scope == ALL else STOPPERS))
    anew = incident.resume(gate.house, name, call.caller.name)
    return {"incident": name, "open": False, "logs_in_anew": anew}


def _session(gate: Gate, sessions: Sessions, call: Call) -> dict[str, Any]:
    """A one-time link to the pages, good for a minute."""
    held = require(gate.registers, call.caller.name, *EVERYBODY)
    port = gate.house.settings().web_port
    return {"url": f"http://127.0.0.1:{port}/enter/{sessions.ticket(call.caller.name, held)}"}


def _request(value: object) -> Request:
    if not isinstance(value, dict):
        raise Usage("the request is missing")
    try:
        return Request.from_json(value)
    except StatementError as fault:
        raise Usage(fault.message, code="request.invalid") from None
