"""The supervisor's hand: before each start of the gate or the custodian, leave it a wrapped login in a file."""

from __future__ import annotations

import json
import os
from pathlib import Path

from sandbox.deployment.vault_recovery import supervise
from sandbox.deployment.vault_server import replace_file
from sandbox.vault.answers import part

WRAP_TTL_S = 60
HELD = "held.json"
"""In the gate's own folder: everything was stopped, and nobody has resumed it yet."""


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
    vault = supervise(addr, ca, supervisor)
    try:
        made = part(vault.write(f"auth/approle/role/{hand}/secret-id", wrap_ttl_s=wrap_ttl_s), "wrap_info")
        vault.write("auth/token/revoke-self")
    finally:
        vault.close()
    role_id = str(json.loads(supervisor.read_bytes())[f"{hand}_role_id"])
    replace_file(target, json.dumps({"role_id": role_id, "wrap": str(made["token"])}).encode(), 0o600, uid)


def held(gate_private: Path) -> bool:
    """Whether the gate is to stay without a login. What lies there counts, whatever it is: a doubt holds it back."""
    return os.path.lexists(gate_private / HELD)
