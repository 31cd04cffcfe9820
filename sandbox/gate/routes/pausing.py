"""The routes by which an engineer ends a run in order, and goes on from where it was."""

from __future__ import annotations

from typing import Any

from sandbox.gate.gate import Gate
from sandbox.gate.runs import resuming, stopping
from sandbox.service import Call, Route, journal


def pausing(gate: Gate) -> list[Route]:
    return [
        Route("POST", "/v1/runs/{id}/stop", lambda call: _stop(gate, call)),
        Route("POST", "/v1/runs/{id}/resume", lambda call: _resume(gate, call)),
    ]


def _stop(gate: Gate, call: Call) -> dict[str, Any]:
    run, person = call.params["id"], call.caller.name
    answer = stopping.ask(gate, run, person)
    journal.say("run.stopping", run=run, person=person)
    return answer


def _resume(gate: Gate, call: Call) -> dict[str, Any]:
    run, key = call.params["id"], call.idempotency_key
    found = resuming.resume(gate, run, call.caller.name, f"resume {run} {key}" if key else "")
    gate.supervision.begin(found.run)
    journal.say("run.resumed", run=found.run, before=run, person=call.caller.name)
    return {"run": found.run, "grant": found.grant, "decision": found.decision, "permitted": True}
