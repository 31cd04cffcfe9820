"""A new root token for the minutes that mending Vault's setup takes: permission plus recovery shares."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox.errors import CredentialError, SandboxError
from sandbox.vault.answers import part, text
from sandbox.vault.http import Vault

ATTEMPT = "sys/generate-root-token/attempt"
UPDATE = "sys/generate-root-token/update"


def supervise(addr: str, ca: Path, supervisor: Path) -> Vault:
    """A conversation under the supervisor's login (``supervisor.json``), good for a minute.

    Raises CredentialError when the file is missing or Vault refuses it.
    """
    try:
        held = json.loads(supervisor.read_bytes())
        login = {"role_id": held["supervisor_role_id"], "secret_id": held["secret_id"]}
    except (OSError, ValueError, KeyError, TypeError):
        raise CredentialError(
            f"{supervisor} holds no login of the supervisor", code="login.missing", mend="sandbox doctor"
        ) from None
    vault = Vault.at(addr, ca)
    try:
        vault.use(str(part(vault.write("auth/approle/login", login), "auth")["client_token"]))
    except BaseException:
        vault.close()
        raise
    return vault


@contextmanager
def root(addr: str, ca: Path, supervisor: Path, shares: Sequence[str]) -> Iterator[Vault]:
    """A conversation under a new root token, which is revoked at the end.

    Raises CredentialError when the shares are too few or wrong. Every use stands in Vault's audit file.
    """
    vault = supervise(addr, ca, supervisor)
    try:
        vault.delete(ATTEMPT)  # one that was abandoned half-way would block this one
        attempt = vault.write(ATTEMPT)
        token = _offer(vault, attempt, shares)
        vault.write("auth/token/revoke-self")
        vault.use(token)
        try:
            yield vault
        finally:
            end_root(vault, token)
    finally:
        vault.close()


def _offer(vault: Vault, attempt: dict[str, Any], shares: Sequence[str]) -> str:
    nonce, pad = text(attempt, "data", "nonce"), text(attempt, "data", "otp").encode()
    for share in shares:
        try:
            answer = part(vault.write(UPDATE, {"key": share, "nonce": nonce}), "data")
        except SandboxError:  # a share of another Vault is answered 500
            break
        if answer.get("complete") is True:
            try:
                hidden = base64.b64decode(str(answer["encoded_token"]) + "==")
                return bytes(a ^ b for a, b in zip(hidden, pad, strict=True)).decode()
            except (ValueError, binascii.Error):
                break
    vault.delete(ATTEMPT)
    raise CredentialError(
        "these recovery shares make no root token", code="login.shares", mend="bring more of them"
    )


def end_root(vault: Vault, token: str) -> None:
    """Revoke a root token, which may be dead already, and prove it dead.

    Raises CredentialError when it still lives.
    """
    vault.use(token)
    try:
        vault.write("auth/token/revoke-self")
    except CredentialError as fault:
        if fault.code != "credential.dead":
            raise
    alive = True
    try:
        vault.read("auth/token/lookup-self")
    except CredentialError as fault:
        if fault.code != "credential.dead":
            raise
        alive = False
    vault.use(None)
    if alive:
        raise CredentialError(
            "the root token still lives", code="vault.root_alive", mend="sandbox up once more"
        )
