"""A person's own hand, used by the command line only: log in, get an identity token, change the password, log out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.errors import CredentialError, IdentityInvalid
from sandbox.records import check_id
from sandbox.vault.answers import part
from sandbox.vault.http import Vault


@dataclass(frozen=True)
class Who:
    """The person behind a Vault token, and for how long."""

    name: str
    expires_in_s: int


@contextmanager
def connected(addr: str, ca: Path, token: str | None = None) -> Iterator[Vault]:
    """A conversation that is closed at the end of its block."""
    vault = Vault.at(addr, ca, token)
    try:
        yield vault
    finally:
        vault.close()


def login(addr: str, ca: Path, name: str, password: str, code: Callable[[], str] | None = None) -> str:
    """A Vault token of the policy ``person``. ``code`` is asked for the second factor, where there is one.

    Raises:
        IdentityInvalid: name and password do not fit, or the code does not, or is missing.
    """
    path = f"auth/userpass/login/{check_id('person', name)}"
    answer = None
    with connected(addr, ca) as vault:
        try:
            answer = vault.write(path, {"password": password})
        except CredentialError:
            answer = None
    if answer is None:
        raise IdentityInvalid(
            f"{name} cannot log in with this password",
            code="login.refused",
            mend="five wrong passwords lock the name for a quarter of an hour; the custodian can set a new one",
        )
    return second_step(addr, ca, answer, code)


def second_step(addr: str, ca: Path, answer: Mapping[str, Any], code: Callable[[], str] | None) -> str:
    """The token of a login that Vault answered; where Vault asks for a second factor, with a code of it."""
    auth = part(answer, "auth")
    asked = auth.get("mfa_requirement")
    if not asked:
        return str(auth["client_token"])
    methods = [one["id"] for any_of in asked["mfa_constraints"].values() for one in any_of["any"]]
    given = code() if code is not None else ""
    if not given:
        raise IdentityInvalid(
            "this login asks for a code of your authenticator app",
            code="totp.missing",
            mend="--totp-stdin reads it from standard input",
        )
    body = {"mfa_request_id": asked["mfa_request_id"], "mfa_payload": {one: [given] for one in methods}}
    with connected(addr, ca) as vault:
        try:
            return str(part(vault.write("sys/mfa/validate", body), "auth")["client_token"])
        except CredentialError as fault:
            locked = fault.code == "totp.locked"
    if locked:
        raise IdentityInvalid("too many wrong codes", code="totp.locked", mend="wait half a minute")
    raise IdentityInvalid(
        "the code is wrong, or was shown before", code="totp.wrong", mend="wait for the next code"
    )


def identity_token(addr: str, ca: Path, token: str) -> str:
    """A fresh JWT (five minutes) that says who holds ``token``. Raises IdentityInvalid when the login has ended."""
    with connected(addr, ca, token) as vault:
        try:
            return str(part(vault.read("identity/oidc/token/sandbox"), "data")["token"])
        except CredentialError:
            raise _ended() from None


def whoami(addr: str, ca: Path, token: str) -> Who:
    """Raises IdentityInvalid when the login has ended."""
    with connected(addr, ca, token) as vault:
        try:
            data = part(vault.read("auth/token/lookup-self"), "data")
        except CredentialError:
            raise _ended() from None
    return Who(name=str(part(data, "meta").get("username", "")), expires_in_s=int(data["ttl"]))


def change_password(addr: str, ca: Path, token: str, name: str, new: str) -> None:
    """Set one's own password. Raises IdentityInvalid when the login ended or ``name`` is somebody else."""
    with connected(addr, ca, token) as vault:
        try:
            vault.write(f"auth/userpass/users/{check_id('person', name)}/password", {"password": new})
        except CredentialError:
            raise _ended() from None


def logout(addr: str, ca: Path, token: str) -> None:
    """End the login. Repeatable."""
    with connected(addr, ca, token) as vault:
        try:
            vault.write("auth/token/revoke-self")
        except CredentialError:
            return


def _ended() -> IdentityInvalid:
    return IdentityInvalid("the login has ended", code="identity.expired", mend="sandbox login NAME")
