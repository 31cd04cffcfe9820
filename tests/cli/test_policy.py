"""``sandbox policy explain``: a decision with its reasons, decided once more from the facts that were stored."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from sandbox.errors import Reason
from tests.cli.conftest import Gate, Sandbox
from tests.policy.world import request

REASON = Reason(
    "consent.scope_missing", "spk_7f3a", "clone was not consented to", "leave the subject out", "4.2 (R07)"
)


def decision(**changes: Any) -> dict[str, Any]:
    said = {
        "id": "d-55e1",
        "run": None,
        "person": "eng.li",
        "permitted": False,
        "at": "2026-11-24T12:00:00Z",
        "request": request().to_json(),
        "reasons": [REASON.__dict__],
        "facts": {"now": "2026-11-24T12:00:00Z", "ledger": 7},
    }
    return {**said, **changes}


def replay(*now: str) -> dict[str, Any]:
    then = [REASON.code]
    return {"id": "d-55e1", "same": list(now) == then, "then": then, "now": list(now)}


@pytest.fixture(autouse=True)
def stored(gate: Gate) -> None:
    gate.answers["GET", "/v1/decisions/d-55e1"] = httpx.Response(200, json=decision())
    gate.answers["GET", "/v1/decisions/d-55e1/replay"] = httpx.Response(200, json=replay(REASON.code))


def test_a_refusal_is_explained_with_every_reason_its_clause_and_its_mend(sandbox: Sandbox) -> None:
    said = sandbox("policy", "explain", "d-55e1")
    assert said.code == 0, said.err
    assert said.out.startswith("✘ refused  d-55e1 · eng.li · 2026-11-24")
    assert all(
        part in said.out for part in (REASON.code, REASON.about, REASON.why, REASON.mend, REASON.clause)
    )
    assert all(part in said.out for part in (request().recipe, request().agreement, request().purpose))
    assert "decided again from the stored facts: ✔ the same answer" in said.out
    assert "ledger" not in said.out


def test_a_permission_is_explained_too(gate: Gate, sandbox: Sandbox) -> None:
    gate.answers["GET", "/v1/decisions/d-55e1"] = httpx.Response(
        200, json=decision(permitted=True, reasons=[])
    )
    said = sandbox("policy", "explain", "d-55e1")
    assert said.out.startswith("✔ permitted  d-55e1") and "reason" not in said.out


def test_rules_that_answer_otherwise_now_are_shown(gate: Gate, sandbox: Sandbox) -> None:
    gate.answers["GET", "/v1/decisions/d-55e1/replay"] = httpx.Response(200, json=replay("budget.exhausted"))
    said = sandbox("policy", "explain", "d-55e1")
    assert said.code == 6 and "✘ another answer now: ['budget.exhausted']" in said.out
    assert sandbox("policy", "explain", "d-55e1", "--json").code == 6


def test_facts_that_are_not_those_of_the_log_are_shown(gate: Gate, sandbox: Sandbox) -> None:
    fault = "its stored facts are not those that the log names"
    told = {**replay(REASON.code), "same": False, "faults": [fault]}
    gate.answers["GET", "/v1/decisions/d-55e1/replay"] = httpx.Response(200, json=told)
    said = sandbox("policy", "explain", "d-55e1")
    assert said.code == 6 and f"✘ {fault}" in said.out
    assert "decided again from the stored facts: ✘ not as it was logged" in said.out


def test_every_fact_is_shown_when_asked_for(sandbox: Sandbox) -> None:
    assert '"ledger": 7' in sandbox("policy", "explain", "d-55e1", "--facts").out


def test_json_leaves_the_facts_out_unless_asked_for(sandbox: Sandbox) -> None:
    brief = json.loads(sandbox("policy", "explain", "d-55e1", "--json").out)
    assert (
        "facts" not in brief
        and brief["replay"]["same"] is True
        and brief["reasons"][0]["code"] == REASON.code
    )
    full = json.loads(sandbox("policy", "explain", "d-55e1", "--facts", "--json").out)
    assert full == {**brief, "facts": decision()["facts"]}


def test_a_decision_that_nobody_made_is_exit_code_3(sandbox: Sandbox) -> None:
    said = sandbox("policy", "explain", "d-none")
    assert said.code == 3 and "no such thing" in said.err
