"""How a service logs in: a wrapped, single-use AppRole secret-id in a file that the supervisor wrote.

File (0600, the service's own): ``{"role_id": …, "wrap": …}``. Opened once, deleted at once.
"""

from __future__ import annotations

import json
from pathlib import Path

from sandbox.errors import CredentialError, CredentialUsed
from sandbox.vault.answers import part
from sandbox.vault.http import Vault


def log_in(vault: Vault, hand: str, wrap_file: Path) -> None:
    """Leave ``vault`` speaking under ``hand``'s fresh periodic token.

    Raises:
        CredentialUsed: the wrap was opened by somebody else, or is too old. Ask the supervisor for another.
        CredentialError: no file, an unreadable one, or a wrap made by another path.
    """
    try:
        held = json.loads(wrap_file.read_bytes())
        role_id, wrap = str(held["role_id"]), str(held["wrap"])
    except (OSError, ValueError, KeyError, TypeError):
        raise CredentialError(
            f"{wrap_file} holds no login for {hand}", code="login.missing", mend="start it by sandbox up"
        ) from None
    finally:
        wrap_file.unlink(missing_ok=True)
    path = f"auth/approle/role/{hand}/secret-id"
    seen = part(vault.write("sys/wrapping/lookup", {"token": wrap}), "data").get("creation_path")
    if seen != path:
        raise CredentialError(
            f"the login of {hand} was made by {seen!r}, not {path}", code="credential.foreign"
        )
    vault.use(wrap)
    try:
        secret_id = str(part(vault.write("sys/wrapping/unwrap"), "data")["secret_id"])
    except CredentialError as fault:
        if fault.code == "credential.dead":
            raise CredentialUsed(f"the login of {hand} was opened before, or is too old") from None
        raise
    finally:
        vault.use(None)
    answer = vault.write("auth/approle/login", {"role_id": role_id, "secret_id": secret_id})
    vault.use(str(part(answer, "auth")["client_token"]))
