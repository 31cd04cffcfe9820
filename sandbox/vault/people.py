"""A person's own hand, used by the command line only: log in, get an identity token, change the password, log out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import CredentialError, IdentityInvalid
from sandbox.records import check_id
from sandbox.vault.answers import part
from sandbox.vault.http import Vault


@dataclass(frozen=True)
class Who:
    """The person behind a Vault token, and for how long."""

    name: str
    expires_in_s: int


def login(addr: str, ca: Path, name: str, password: str) -> str:
    """A Vault token of the policy ``person``. Raises IdentityInvalid when name and password do not fit."""
    path = f"auth/userpass/login/{check_id('person', name)}"
    answer = None
    with _Line(addr, ca) as vault:
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
    return str(part(answer, "auth")["client_token"])


def identity_token(addr: str, ca: Path, token: str) -> str:
    """A fresh JWT (five minutes) that says who holds ``token``. Raises IdentityInvalid when the login has ended."""
    with _Line(addr, ca, token) as vault:
        try:
            return str(part(vault.read("identity/oidc/token/sandbox"), "data")["token"])
        except CredentialError:
            raise _ended() from None


def whoami(addr: str, ca: Path, token: str) -> Who:
    """Raises IdentityInvalid when the login has ended."""
    with _Line(addr, ca, token) as vault:
        try:
            data = part(vault.read("auth/token/lookup-self"), "data")
        except CredentialError:
            raise _ended() from None
    return Who(name=str(part(data, "meta").get("username", "")), expires_in_s=int(data["ttl"]))


def change_password(addr: str, ca: Path, token: str, name: str, new: str) -> None:
    """Set one's own password. Raises IdentityInvalid when the login ended or ``name`` is somebody else."""
    with _Line(addr, ca, token) as vault:
        try:
            vault.write(f"auth/userpass/users/{check_id('person', name)}/password", {"password": new})
        except CredentialError:
            raise _ended() from None


def logout(addr: str, ca: Path, token: str) -> None:
    """End the login. Repeatable."""
    with _Line(addr, ca, token) as vault:
        try:
            vault.write("auth/token/revoke-self")
        except CredentialError:
            return


class _Line:
    """A conversation that is closed at the end of its block."""

    def __init__(self, addr: str, ca: Path, token: str | None = None) -> None:
        self._vault = Vault.at(addr, ca, token)

    def __enter__(self) -> Vault:
        return self._vault

    def __exit__(self, *_: object) -> None:
        self._vault.close()


def _ended() -> IdentityInvalid:
    return IdentityInvalid("the login has ended", code="identity.expired", mend="sandbox login NAME")
