"""The supervisor's hand: before each start of the gate or the custodian, leave it a wrapped login in a file."""

from __future__ import annotations

import json
from pathlib import Path

from sandbox.deployment.vault_server import replace_file
from sandbox.errors import CredentialError
from sandbox.vault.answers import part
from sandbox.vault.http import Vault

WRAP_TTL_S = 60


def write_login(
    addr: str,
    ca: Path,
    supervisor: Path,
    hand: str,
    target: Path,
    uid: int | None = None,
    wrap_ttl_s: int = WRAP_TTL_S,
) -> None:
    """Write ``target`` (0600 of ``uid``): a wrapped, single-use login for ``hand``, to be opened within a minute.

    ``supervisor`` is the bootstrap's ``supervisor.json``. The secret-id itself is never seen here.

    Raises:
        CredentialError: the supervisor's login is missing or refused.
        VaultUnreachable: no answer.
    """
    try:
        held = json.loads(supervisor.read_bytes())
        login = {"role_id": held["supervisor_role_id"], "secret_id": held["secret_id"]}
        role_id = str(held[f"{hand}_role_id"])
    except (OSError, ValueError, KeyError, TypeError):
        raise CredentialError(
            f"{supervisor} holds no login of the supervisor for {hand}",
            code="login.missing",
            mend="sandbox doctor",
        ) from None
    vault = Vault.at(addr, ca)
    try:
        vault.use(str(part(vault.write("auth/approle/login", login), "auth")["client_token"]))
        made = part(vault.write(f"auth/approle/role/{hand}/secret-id", wrap_ttl_s=wrap_ttl_s), "wrap_info")
        vault.write("auth/token/revoke-self")
    finally:
        vault.close()
    replace_file(target, json.dumps({"role_id": role_id, "wrap": str(made["token"])}).encode(), 0o600, uid)
