"""What the gate's API asks of whoever calls; roles come from the signed register."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.errors import NotFound, NotPermitted, Usage
from sandbox.gate.console.sessions import Sessions
from sandbox.gate.routes.api import routes
from sandbox.service import Call, Caller, Reply
from tests.fakes.studio import STEWARD
from tests.gate.world import AUDITOR, ENGINEER, OPERATOR, OTHER, admit, ended, request, row, run_of


@pytest.fixture
def ask(gate):
    found = {(route.method, route.path): route.handler for route in routes(gate, Sessions())}

    def ask(name: str, method: str, path: str, body: Any = None, key: str = "", **params: str) -> Any:
        raw = b"" if body is None else json.dumps(body).encode()
        call = Call(Caller(name, 2e9), params, {}, raw, key, "", lambda: iter(()))
        answer = found[method, path](call)
        return answer.body if isinstance(answer, Reply) else answer

    return ask


def test_a_run_is_asked_for_and_begins(gate, ask):
    answer = ask(ENGINEER, "POST", "/v1/runs", {"request": request().to_json()}, "k-1")
    again = ask(ENGINEER, "POST", "/v1/runs", {"request": request().to_json()}, "k-1")
    assert answer == again and answer["grant"] == row(gate, answer["run"]).grant
    assert ended(gate, answer["run"]).outcome == "finished"


def test_only_deciding_begins_nothing(gate, ask):
    answer = ask(ENGINEER, "POST", "/v1/runs", {"request": request().to_json(), "dry_run": True})
    assert (answer["run"], answer["permitted"]) == ("", True)


@pytest.mark.parametrize("body", [{}, {"request": []}, {"request": {"recipe": "hum"}}])
def test_what_is_no_request_is_not_decided(ask, body):
    with pytest.raises(Usage):
        ask(ENGINEER, "POST", "/v1/runs", body)


@pytest.mark.parametrize("name", [ENGINEER, OPERATOR, STEWARD])
def test_a_run_is_stopped_by_whose_it_is_or_by_who_may_stop_any(gate, ask, name):
    run = admit(gate)
    assert ask(name, "POST", "/v1/runs/{id}/kill", {"reason": "enough"}, id=run) == {
        "run": run,
        "killed": True,
    }
    assert (row(gate, run).kill, row(gate, run).killed_by) == ("enough", name)


@pytest.mark.parametrize("name", [OTHER, AUDITOR, "nobody"])
def test_nobody_else_stops_a_run(gate, ask, name):
    run = admit(gate)
    with pytest.raises(NotPermitted):
        ask(name, "POST", "/v1/runs/{id}/kill", id=run)
    assert row(gate, run).kill is None
    with pytest.raises(NotFound):
        ask(OPERATOR, "POST", "/v1/runs/{id}/kill", id="r-9999")


def test_an_incident_is_the_operators(gate, ask):
    for name in (ENGINEER, AUDITOR, "nobody"):
        with pytest.raises(NotPermitted):
            ask(name, "POST", "/v1/incidents", {"scope": "dataset:digits"})
    opened = ask(OPERATOR, "POST", "/v1/incidents", {"scope": "dataset:digits"})
    assert ask(OPERATOR, "POST", "/v1/incidents/{id}/resume", id=opened["id"])["open"] is False
    with pytest.raises(Usage):
        ask(OPERATOR, "POST", "/v1/incidents", {})


def test_whoever_watches_may_ask_what_is_broken(world, gate, ask):
    run_of(gate)
    assert ask(AUDITOR, "GET", "/v1/invariants") == {"broken": []}
    world.places.door("r-9999").mkdir()
    assert ask(OPERATOR, "GET", "/v1/invariants") == {
        "broken": ["3. r-9999: a door directory is left, and the run is unknown"]
    }
    for name in (ENGINEER, "nobody"):
        with pytest.raises(NotPermitted):
            ask(name, "GET", "/v1/invariants")


def test_a_link_to_the_pages_needs_a_role(ask):
    assert "/enter/" in ask(ENGINEER, "POST", "/v1/browser-sessions")["url"]
    with pytest.raises(NotPermitted):
        ask("nobody", "POST", "/v1/browser-sessions")


def test_a_replayed_decision_is_the_same(gate, ask):
    decision = gate.admission.ask(request(), ENGINEER, only_decide=True).decision
    assert ask(ENGINEER, "GET", "/v1/decisions/{id}/replay", id=decision)["same"] is True
    with pytest.raises(NotPermitted):
        ask(OTHER, "GET", "/v1/decisions/{id}", id=decision)
