# ruff: noqa: F811 - fixtures are named like what they give
"""What ends, at the terminal: shown with its reason, listed once it is due, destroyed only then; minors approved."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from sandbox.cli import forgetting
from sandbox.cli.show import local_time
from sandbox.custodian.consent import import_consents
from sandbox.custodian.desk import Desk
from sandbox.policy.fields import moment
from tests.cli.conftest import Gate, Sandbox
from tests.cli.test_party_a import PERSON, desk, seal, studio  # noqa: F401 - fixtures
from tests.fakes.studio import STEWARD, consent
from tests.policy import cases

END = moment("2027-01-31T23:59:59+08:00")


def test_a_dataset_shows_what_ends_it_and_who_ends_first(desk: Desk, sandbox: Sandbox, studio: Path) -> None:
    import_consents(desk, STEWARD, [consent("spk_anna", expires="2026-12-24"), consent("spk_ben0")])
    seal(sandbox, studio)
    shown = sandbox("data", "show", "digits").out
    assert "ends             2027-01-31T15:59:59Z (the period told to data subjects)" in shown
    assert "first to end     2026-12-24T00:00:00Z (consent cr-" in shown and "OVER" not in shown
    assert local_time("2026-12-24T00:00:00Z") in sandbox("data", "list").out


def test_what_is_due_is_listed_and_only_that_is_destroyed(
    desk: Desk,
    sandbox: Sandbox,
    studio: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seal(sandbox, studio)
    asked: list[object] = []
    monkeypatch.setattr(forgetting, "forget", lambda here, *given: asked.append(given[:4]))
    assert "nothing is kept longer than was promised" in sandbox("data", "due").out
    early = sandbox("data", "destroy", "digits", "--yes")
    assert early.code == 3 and "may still be kept" in early.err and asked == []
    desk.clock.now = END  # type: ignore[attr-defined]
    said = sandbox("data", "due").out
    assert "digits" in said and "destroy" in said and "the period told to data subjects" in said
    assert (
        "OVER" in sandbox("data", "list").out
        and "OVER: sandbox data due" in sandbox("data", "show", "digits").out
    )
    assert sandbox("data", "destroy", "digits", "--yes", "--witness", "b.legal.1").code == 0
    assert asked == [(["spk_anna", "spk_ben0"], "digits", "b.legal.1", "")]
    assert json.loads(sandbox("data", "due", "--json").out)["destroy_by"] == "2027-01-31T15:59:59Z"


def test_access_to_a_minor_is_approved_by_whom_the_agreement_names(
    desk: Desk,
    sandbox: Sandbox,
    studio: Path,
) -> None:
    seal(sandbox, studio)
    sandbox("people", "add", *PERSON)
    words = ("access", "grant", "eng.li", "--dataset", "digits", "--purpose", "train", "--minor", "spk_anna")
    said = sandbox(*words, "--until", "2026-11-24T20:00:00Z")
    assert said.code == 3 and "approved by nobody, as the agreement says" in said.err


def test_a_decision_says_what_ends_the_run_and_which_voice_ends_first(gate: Gate, sandbox: Sandbox) -> None:
    asked, facts = cases.consents(expires="2026-12-24")
    row = {"id": "d-55e1", "run": None, "person": "eng.li", "permitted": True, "at": "2026-12-01T12:00:00Z"}
    row |= {"request": asked.to_json(), "reasons": [], "facts": facts.to_json()}
    again = {"id": "d-55e1", "same": True, "then": [], "now": [], "expires": "2026-12-01T12:30:00Z"}
    again["expires_why"] = "the time that was asked for"
    gate.answers["GET", "/v1/decisions/d-55e1"] = httpx.Response(200, json=row)
    gate.answers["GET", "/v1/decisions/d-55e1/replay"] = httpx.Response(200, json=again)
    said = sandbox("policy", "explain", "d-55e1").out
    ends, first = local_time("2026-12-01T12:30:00Z"), local_time("2026-12-24T00:00:00Z")
    assert f"the run ends at the latest {ends} (the time that was asked for)" in said
    assert f"the first of its voices ends {first} (consent cr-aa000 of spk_aa)" in said


def test_a_run_that_lost_a_voice_is_asked_for_again(gate: Gate, sandbox: Sandbox) -> None:
    gate.answers["POST", "/v1/runs/r-7f3k/again"] = httpx.Response(200, json={"run": "r-9tun"})
    said = sandbox("runs", "again", "r-7f3k", "--detach")
    assert said.code == 0 and "admitted   run r-9tun" in said.out
