"""`sandbox alert` and `sandbox incident notice`: thin, for people and for programs."""

from __future__ import annotations

import json

import httpx

from tests.cli.conftest import Gate, Sandbox

ALERT = {
    "id": "al-7f3k9w",
    "rule": "denied-burst",
    "severity": "medium",
    "about": {"person": "eng.li"},
    "detail": {"count": 10},
    "incident": None,
    "at": "2026-11-26T11:00:00Z",
    "acknowledged_by": None,
    "acknowledged_at": None,
}
NOTICE = {"incident": "i-7f3k9w", "addressee": "party_a", "text": "DRAFT NOTICE\n", "sent_at": None}


def listed(*items: object) -> httpx.Response:
    return httpx.Response(200, json={"items": items, "next": "", "limit": 200})


def test_alerts_are_listed_and_the_seen_ones_only_when_asked_for(gate: Gate, sandbox: Sandbox) -> None:
    gate.answers["GET", "/v1/alerts"] = listed(ALERT)
    said = sandbox("alert", "list")
    assert said.code == 0 and "denied-burst" in said.out and "person=eng.li" in said.out
    assert gate.asked[-1].url.params["open"] == "true"
    assert json.loads(sandbox("--json", "alert", "list", "--all").out)["id"] == "al-7f3k9w"
    assert "open" not in gate.asked[-1].url.params


def test_one_alert_is_shown_and_acknowledged(gate: Gate, sandbox: Sandbox) -> None:
    gate.answers["GET", "/v1/alerts/al-7f3k9w"] = httpx.Response(200, json=ALERT)
    said = sandbox("alert", "show", "al-7f3k9w")
    assert said.code == 0 and "nobody yet" in said.out and "count" in said.out
    seen = {**ALERT, "acknowledged_by": "b.operator", "acknowledged_at": "2026-11-26T11:01:00Z"}
    gate.answers["POST", "/v1/alerts/al-7f3k9w/ack"] = httpx.Response(200, json=seen)
    said = sandbox("alert", "ack", "al-7f3k9w")
    assert said.code == 0 and "by b.operator" in said.out


def test_an_unknown_alert_is_one_clear_line(gate: Gate, sandbox: Sandbox) -> None:
    assert sandbox("alert", "show", "al-nobody").code != 0


def test_a_notice_is_printed_and_marked_as_sent(gate: Gate, sandbox: Sandbox) -> None:
    gate.answers["GET", "/v1/incidents/i-7f3k9w/notice"] = listed(NOTICE)
    said = sandbox("incident", "notice", "i-7f3k9w")
    assert said.code == 0 and said.out.startswith("DRAFT NOTICE\n") and "not yet" in said.out
    sent = {**NOTICE, "sent_at": "2026-11-26T11:40:00Z"}
    gate.answers["POST", "/v1/incidents/i-7f3k9w/notice"] = httpx.Response(200, json={"items": [sent]})
    said = sandbox("incident", "notice", "i-7f3k9w", "--sent-at", "2026-11-26T19:40:00+08:00")
    assert said.code == 0 and "to party_a" in said.out
    assert json.loads(gate.asked[-1].content) == {
        "sent_at": "2026-11-26T19:40:00+08:00",
        "addressee": "party_a",
    }
