"""Logging in: the password comes from a terminal or stdin, never from the arguments, and stays nowhere."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from sandbox.client import Login
from sandbox.vault import people
from tests.cli.conftest import Sandbox


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A Vault of one person, and an installation that names it."""
    known = {"eng.li": "correct horse"}
    app = tmp_path / "s" / "app"
    app.mkdir(parents=True)
    (app / "public.json").write_text(json.dumps({"vault_addr": "https://127.0.0.1:1"}))
    monkeypatch.setenv("VOICE_SANDBOX_STATE", str(tmp_path / "s"))

    def login(addr: str, ca: Path, name: str, password: str) -> str:
        assert known[name] == password
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
