"""The routes of alerts and notices: who may read, who may say that they have seen or sent it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from sandbox.errors import NotFound, NotPermitted, Usage
from sandbox.gate.alarms import alerts
from sandbox.gate.incidents import kill, notices
from sandbox.gate.routes.alerting import alerting
from sandbox.gate.routes.alerting_docs import ALERTING_DOCS
from sandbox.runs import utc
from sandbox.service import Call, Caller
from tests.fakes.studio import STEWARD
from tests.gate.world import AUDITOR, DATASET, ENGINEER, OPERATOR


@pytest.fixture
def ask(gate):
    found = {(route.method, route.path): route.handler for route in alerting(gate)}

    def ask(name: str, method: str, path: str, body: Any = None, query: Any = None, **params: str) -> Any:
        raw = b"" if body is None else json.dumps(body).encode()
        return found[method, path](
            Call(Caller(name, 2e9), params, query or {}, raw, "", "", lambda: iter(()))
        )

    return ask


@pytest.fixture
def raised(gate):
    def raise_one(n: int) -> str:
        return gate.house.store.transact(
            lambda c: alerts.raise_alert(c, rule="x", about={"n": str(n)}, now=gate.house.clock())
        )

    return sorted(raise_one(n) for n in range(3))


@pytest.fixture
def incident(gate):
    gate.registers.read()
    name = kill.stop(gate.house, f"dataset:{DATASET}", OPERATOR)["id"]
    notices.draft_missing(gate.house)
    return name


def test_every_route_is_described():
    from sandbox.service.bare import Bare

    assert {(route.method, route.path) for route in alerting(Bare())} == set(ALERTING_DOCS)


@pytest.mark.parametrize("name", [AUDITOR, OPERATOR, STEWARD])
def test_who_watches_reads_them(ask, raised, name):
    assert [one["id"] for one in ask(name, "GET", "/v1/alerts")["items"]] == raised
    assert ask(name, "GET", "/v1/alerts/{id}", id=raised[0])["id"] == raised[0]
    assert "once" not in ask(name, "GET", "/v1/alerts/{id}", id=raised[0])


@pytest.mark.parametrize("name", [ENGINEER, "nobody"])
def test_nobody_else_does(ask, raised, incident, name):
    for method, path, body in (
        ("GET", "/v1/alerts", None),
        ("GET", "/v1/alerts/{id}", None),
        ("POST", "/v1/alerts/{id}/ack", {}),
        ("GET", "/v1/incidents/{id}/notice", None),
        ("POST", "/v1/incidents/{id}/notice", {"sent_at": "2026-11-26T12:00:00Z"}),
    ):
        with pytest.raises(NotPermitted):
            ask(name, method, path, body, id=incident if "incidents" in path else raised[0])


def test_what_somebody_has_seen_is_left_out_of_the_open_ones(ask, raised):
    seen = ask(AUDITOR, "POST", "/v1/alerts/{id}/ack", {}, id=raised[1])
    assert (seen["acknowledged_by"], seen["id"]) == (AUDITOR, raised[1])
    left = ask(AUDITOR, "GET", "/v1/alerts", query={"open": "true"})["items"]
    assert [one["id"] for one in left] == [raised[0], raised[2]]
    assert len(ask(AUDITOR, "GET", "/v1/alerts")["items"]) == 3


def test_they_come_in_pages(ask, raised):
    first = ask(AUDITOR, "GET", "/v1/alerts", query={"limit": "2"})
    second = ask(AUDITOR, "GET", "/v1/alerts", query={"limit": "2", "after": first["next"]})
    assert [one["id"] for one in first["items"] + second["items"]] == raised and second["next"] == ""


def test_an_unknown_alert_is_not_found(ask):
    for method, path in (("GET", "/v1/alerts/{id}"), ("POST", "/v1/alerts/{id}/ack")):
        with pytest.raises(NotFound):
            ask(OPERATOR, method, path, {}, id="al-nobody")


def test_a_notice_is_read_and_marked_as_sent(gate, ask, incident):
    found = ask(AUDITOR, "GET", "/v1/incidents/{id}/notice", id=incident)["items"]
    assert [one["addressee"] for one in found] == ["party_a", "regulator: CAC", "final_report"]
    assert found[0]["text"].startswith(f"DRAFT NOTICE OF AN INCIDENT  {incident}")
    now = utc(gate.house.clock())
    with pytest.raises(NotPermitted):
        ask(AUDITOR, "POST", "/v1/incidents/{id}/notice", {"sent_at": now}, id=incident)
    [sent] = ask(OPERATOR, "POST", "/v1/incidents/{id}/notice", {"sent_at": now}, id=incident)["items"]
    assert (sent["addressee"], sent["sent_at"], sent["sent_by"]) == ("party_a", now, OPERATOR)


def test_a_notice_cannot_have_been_sent_tomorrow_or_at_no_time(gate, ask, incident):
    ahead = utc(gate.house.clock() + timedelta(seconds=2))
    for sent in (ahead, "", "yesterday", "2026-11-26T12:00:00", None, 5):
        with pytest.raises(Usage):
            ask(OPERATOR, "POST", "/v1/incidents/{id}/notice", {"sent_at": sent}, id=incident)
