"""Logging in: the password comes from a terminal or stdin, never from the arguments, and stays nowhere."""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from sandbox.client import Login
from sandbox.vault import people
from tests.cli.conftest import Gate, Sandbox


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A Vault of one person, and an installation that names it."""
    known = {"eng.li": "correct horse"}
    app = tmp_path / "s" / "app"
    app.mkdir(parents=True)
    (app / "public.json").write_text(json.dumps({"vault_addr": "https://127.0.0.1:1"}))
    monkeypatch.setenv("VOICE_SANDBOX_STATE", str(tmp_path / "s"))

    def login(addr: str, ca: Path, name: str, password: str, code: Callable[[], str]) -> str:
        assert known[name] == password
        if name + ".code" in known:
            assert code() == known[name + ".code"]
        return "hvs.token"

    def change(addr: str, ca: Path, token: str, name: str, new: str) -> None:
        known[name] = new

    monkeypatch.setattr(people, "login", login)
    monkeypatch.setattr(people, "change_password", change)
    return known


def test_a_password_from_stdin_leaves_a_token_and_no_trace_of_itself(
    vault: dict[str, str], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VOICE_SANDBOX_STATE", str(tmp_path / "s"))
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse\n"))
    said = sandbox("login", "eng.li", "--password-stdin")
    assert said.code == 0, said.err
    login = Login.at(tmp_path / "s", {"XDG_RUNTIME_DIR": str(tmp_path / "runtime")})
    assert login.vault_token() == "hvs.token"
    assert "correct horse" not in said.out + said.err + login.path.read_text()


def test_there_is_no_option_that_takes_a_password(sandbox: Sandbox) -> None:
    said = sandbox("login", "eng.li", "--password", "correct horse")
    assert said.code == 2 and "correct horse" not in said.err


def test_a_new_password_is_the_second_line_and_not_too_short(
    vault: dict[str, str], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VOICE_SANDBOX_STATE", str(tmp_path / "s"))
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse\nshort\n"))
    assert sandbox("login", "eng.li", "--password-stdin", "--new-password").code == 2
    assert vault["eng.li"] == "correct horse"
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse\nbattery staple\n"))
    assert sandbox("login", "eng.li", "--password-stdin", "--new-password").code == 0
    assert vault["eng.li"] == "battery staple"


def test_without_a_terminal_it_asks_for_stdin(
    vault: dict[str, str], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VOICE_SANDBOX_STATE", str(tmp_path / "s"))
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    said = sandbox("login", "eng.li")
    assert said.code == 2 and "--password-stdin" in said.err


def test_a_code_is_the_line_after_the_password_and_a_new_password_the_last(
    vault: dict[str, str], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VOICE_SANDBOX_STATE", str(tmp_path / "s"))
    vault["eng.li.code"] = "123456"
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse\n123456\nbattery staple\n"))
    said = sandbox("login", "eng.li", "--password-stdin", "--totp-stdin", "--new-password")
    assert said.code == 0, said.err
    assert vault["eng.li"] == "battery staple" and "123456" not in said.out + said.err


def test_enrolling_shows_the_secret_once_and_confirms_it_by_a_code(
    vault: dict[str, str], sandbox: Sandbox, gate: Gate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VOICE_SANDBOX_STATE", str(tmp_path / "s"))
    address = "otpauth://totp/voice-sandbox:eng.li?secret=GEZDGNBVGY3TQOJQ&issuer=voice-sandbox"
    gate.answers["POST", "/v1/second-factor"] = httpx.Response(
        200, json={"person": "eng.li", "address": address}
    )
    done = {"person": "eng.li", "second_factor": "enrolled"}
    gate.answers["POST", "/v1/second-factor/confirm"] = httpx.Response(200, json=done)
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse\n123456\n"))
    said = sandbox("login", "eng.li", "--password-stdin", "--enrol")
    assert said.code == 0, said.err
    assert said.out.count("GEZD GNBV GY3T QOJQ") == 1
    assert [json.loads(asked.content or b"{}") for asked in gate.asked] == [{}, {"code": "123456"}]


@pytest.mark.parametrize("words", [("eng.li", "--oidc"), ("--oidc", "--password-stdin"), ()])
def test_a_name_is_given_or_the_provider_says_it(sandbox: Sandbox, words: tuple[str, ...]) -> None:
    assert sandbox("login", *words).code == 2


def test_a_code_from_stdin_goes_along_with_what_cannot_be_taken_back(
    sandbox: Sandbox, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/v1/people/eng.li/second-factor/reset"
    gate.answers["POST", path] = httpx.Response(200, json={"person": "eng.li", "second_factor": "none"})
    monkeypatch.setattr(sys, "stdin", io.StringIO("123456\n"))
    assert sandbox("people", "reset-factor", "eng.li", "--totp-stdin").code == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert sandbox("people", "reset-factor", "eng.li", "--totp-stdin").code == 2  # no code came
    assert sandbox("people", "reset-factor", "eng.li").code == 0
    assert [asked.headers.get("Totp-Code") for asked in gate.asked] == ["123456", None]


def test_whoami_says_roles_factor_and_how_long(
    vault: dict[str, str], sandbox: Sandbox, gate: Gate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VOICE_SANDBOX_STATE", str(tmp_path / "s"))
    body = base64.urlsafe_b64encode(b'{"name": "eng.li"}').decode()
    monkeypatch.setattr(Login, "token", lambda self: f"a.{body}.c")
    monkeypatch.setattr(Login, "vault_token", lambda self: "hvs.token")
    monkeypatch.setattr(people, "whoami", lambda *_: people.Who("eng.li", 3600))
    entry = {"person": "eng.li", "party": "B", "roles": ["ml_engineer"], "status": "active"}
    gate.answers["GET", "/v1/people"] = httpx.Response(200, json={"items": [entry], "next": ""})
    gate.answers["GET", "/v1/second-factor"] = httpx.Response(200, json={"second_factor": "enrolled"})
    said = json.loads(sandbox("--json", "whoami").out)
    assert (said["party"], said["roles"], said["second_factor"]) == ("B", ["ml_engineer"], "enrolled")
    assert said["login_until"].endswith("Z")
