"""A stolen credential on real parts: seen, stopped before any recipe code, dead, and Party A's draft is written."""

from __future__ import annotations

import ssl
import time
from typing import Any

import httpx
import pytest

from sandbox.client import Address, Public
from sandbox.demo.attempts import AUDITOR
from sandbox.demo.thief import Thief
from sandbox.runs import Order
from tests.e2e.conftest import OPERATOR, Stack
from tests.e2e.running import Runs


class Keeping(Thief):
    """He keeps what he took, to try it later."""

    token, granted = "", ""

    def _steal(self, order: Order) -> None:
        if order.unlock is None:
            return
        with vault(self._state) as server:
            headers = {"X-Vault-Token": order.unlock.token}
            answer = server.post("/v1/sys/wrapping/unwrap", headers=headers)
            self.opened = answer.status_code == 200
            if self.opened:
                self.token = str(answer.json()["auth"]["client_token"])
                found = server.get("/v1/auth/token/lookup-self", headers={"X-Vault-Token": self.token})
                self.granted = found.text


def vault(state: Any) -> httpx.Client:
    context = ssl.create_default_context(cafile=str(Address.of(state).vault_ca))
    return httpx.Client(base_url=Public.read(state).vault_addr, verify=context, trust_env=False)


@pytest.fixture(scope="module")
def theft(runs: Runs) -> tuple[Keeping, dict[str, Any]]:
    with Keeping(runs.stack.house.state) as thief:
        shown = runs.settled(runs.start())
    return thief, shown


def until_answered(stack: Stack, *words: str, limit_s: float = 90.0) -> list[dict[str, Any]]:
    """What a command lists, once it lists something."""
    end = time.monotonic() + limit_s
    while True:
        answer = stack.ask(AUDITOR, *words)
        if answer.code == 0 and answer.lines:
            return answer.lines
        assert time.monotonic() < end, answer.text
        time.sleep(0.2)


def test_the_run_stops_before_any_recipe_code(runs: Runs, theft: tuple[Keeping, dict[str, Any]]) -> None:
    thief, shown = theft
    assert thief.opened
    assert (shown["outcome"], shown["failure"], shown["metric_points"]) == ("failed", "credential.used", 0)
    entries = runs.stack.must(AUDITOR, "audit", "log", "--last", "200").lines
    states = [entry["state"] for entry in entries if entry.get("run") == shown["id"] and "state" in entry]
    assert "ordered" in states and not {"unlocked", "training"} & set(states)
    runs.leaves_nothing(shown)


def test_an_incident_is_open(runs: Runs, theft: tuple[Keeping, dict[str, Any]]) -> None:
    run = str(theft[1]["id"])
    assert runs.incidents(run) == ["credential.used"]
    [found] = [one for one in runs.stack.must(AUDITOR, "incident", "list").lines if one.get("run") == run]
    [alert] = [
        one for one in runs.stack.must(AUDITOR, "alert", "list").lines if one["incident"] == found["id"]
    ]
    assert (alert["rule"], alert["severity"]) == ("incident.opened", "critical")


def test_the_thiefs_token_is_dead(runs: Runs, theft: tuple[Keeping, dict[str, Any]]) -> None:
    thief, shown = theft
    assert all(one["dead_at"] for one in shown["credentials"])
    headers = {"X-Vault-Token": thief.token}
    subject, dataset = shown["plan"]["subjects"][0], shown["plan"]["dataset"]
    with vault(runs.stack.house.state) as server:
        for method, path in (
            ("GET", "/v1/auth/token/lookup-self"),
            ("POST", f"/v1/subjects/decrypt/{dataset}.{subject}"),
            ("POST", "/v1/auth/token/revoke-self"),
        ):
            answer = server.request(method, path, headers=headers, json={})
            assert answer.status_code == 403, path


def test_party_as_draft_notice_is_there(stack: Stack, theft: tuple[Keeping, dict[str, Any]]) -> None:
    run = str(theft[1]["id"])
    [incident] = [one for one in stack.must(AUDITOR, "incident", "list").lines if one.get("run") == run]
    found = until_answered(stack, "incident", "notice", str(incident["id"]))
    draft = next(one for one in found if one["addressee"] == "party_a")
    facts = draft["facts"]
    assert (facts["class"], facts["kind"], facts["scope"]) == ("leak", "credential.used", f"run:{run}")
    assert facts["subjects"] == len(theft[1]["plan"]["subjects"]) and facts["agreement"] in draft["text"]
    assert draft["sent_at"] is None and draft["due_at"] > incident["at"]


def test_a_token_used_outside_of_its_run_is_seen_in_vaults_own_file(
    stack: Stack, theft: tuple[Keeping, dict[str, Any]]
) -> None:
    """The gate reads the file that another user's program writes, all along, and nothing of it is a stranger's."""
    thief, _ = theft
    assert thief.granted, "the thief tried his token while it lived"
    stack.must(OPERATOR, "status")
    rules = {str(one["rule"]) for one in stack.must(AUDITOR, "alert", "list", "--all").lines}
    assert not rules & {
        "audit.unreadable",
        "detection.rules",
        "alert.channels",
        "unread-line",
        "key-of-no-grant",
    }
