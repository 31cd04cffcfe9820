"""The login file is the person's alone, and an identity token is renewed before it ends."""

from __future__ import annotations

import base64
import json
import sys
import types
from pathlib import Path

import pytest

from sandbox.client.identity import Login, claims, expiry
from sandbox.errors import IdentityInvalid


def jwt(until: float) -> str:
    body = (
        base64.urlsafe_b64encode(json.dumps({"exp": until, "name": "eng.li"}).encode()).decode().rstrip("=")
    )
    return f"e30.{body}.sig"


@pytest.fixture
def login(tmp_path: Path) -> Login:
    app = tmp_path / "state" / "app"
    app.mkdir(parents=True)
    (app / "public.json").write_text('{"vault_addr": "https://127.0.0.1:1"}')
    return Login.at(tmp_path / "state", {"XDG_RUNTIME_DIR": str(tmp_path / "runtime")})


def test_the_file_is_private_from_its_first_byte(login: Login) -> None:
    login.save("hvs.secret")
    assert login.path.stat().st_mode & 0o777 == 0o600
    assert login.path.parent.stat().st_mode & 0o777 == 0o700
    assert login.vault_token() == "hvs.secret"


def test_a_file_that_others_can_read_is_refused(login: Login) -> None:
    login.save("hvs.secret")
    login.path.chmod(0o644)
    with pytest.raises(IdentityInvalid, match="not yours alone"):
        login.vault_token()


def test_a_link_in_place_of_the_file_is_refused(login: Login, tmp_path: Path) -> None:
    login.save("hvs.secret")
    login.path.rename(tmp_path / "elsewhere")
    login.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IdentityInvalid):
        login.vault_token()


def test_without_a_login_the_error_says_how_to_log_in(login: Login) -> None:
    with pytest.raises(IdentityInvalid) as caught:
        login.vault_token()
    assert caught.value.mend == "sandbox login NAME"


def test_an_identity_token_is_kept_until_shortly_before_its_end(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    made: list[str] = []

    def identity_token(addr: str, ca: Path, token: str) -> str:
        made.append(token)
        return jwt(now[0] + 300)

    people = types.ModuleType("sandbox.vault.people")
    people.identity_token = identity_token  # type: ignore[attr-defined]
    vault = types.ModuleType("sandbox.vault")
    vault.people = people  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sandbox.vault", vault)
    monkeypatch.setitem(sys.modules, "sandbox.vault.people", people)
    login._clock = lambda: now[0]
    login.save("hvs.secret")
    first = login.token()
    now[0] += 200
    assert login.token() == first
    now[0] += 75
    assert login.token() != first
    assert made == ["hvs.secret"] * 2


def test_claims_of_nonsense_are_empty() -> None:
    assert claims("nonsense") == {}
    assert expiry("a.b.c") == 0
