"""What Vault's answers mean. Pure; no word of an answer enters an error, for it may quote a request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.errors import (
    Conflict,
    CredentialError,
    CredentialUsed,
    NotFound,
    SandboxError,
    SealBroken,
    VaultUnreachable,
)

# What Vault says -> error, code, what it means here.
_MEANINGS: tuple[tuple[str, type[SandboxError], str, str], ...] = (
    (
        "wrapping token is not valid",
        CredentialUsed,
        "credential.used",
        "opened before, expired, or never given",
    ),
    ("did not match the current version", Conflict, "state.conflict", "the head was moved by somebody else"),
    ("check-and-set parameter required", Conflict, "vault.cas_missing", "a write without check-and-set"),
    ("encryption key not found", NotFound, "vault.key_missing", "there is no such key"),
    ("key not found", NotFound, "vault.key_missing", "there is no such key"),
    ("soft-deleted", CredentialError, "vault.key_soft_deleted", "the key is soft-deleted, not destroyed"),
    ("no existing key", NotFound, "vault.key_missing", "there is no such key"),
    ("could not delete key; not found", NotFound, "vault.key_missing", "there is no such key"),
    ("upsert", NotFound, "vault.key_missing", "there is no such key"),
    ("invalid accessor", NotFound, "vault.accessor_unknown", "no credential has this accessor"),
    ("message authentication failed", SealBroken, "seal.broken", "does not open under this key and context"),
    ("invalid ciphertext", SealBroken, "seal.broken", "does not open under this key and context"),
    ("unable to decrypt", SealBroken, "seal.broken", "does not open under this key and context"),
    ("too old", SealBroken, "seal.broken", "was wrapped by a version of the key that is retired"),
    ("code already used", CredentialError, "totp.used", "this code was shown before"),
    ("unknown key: ", NotFound, "totp.not_enrolled", "there is no second factor"),
    ("maximum TOTP validation attempts", CredentialError, "totp.locked", "too many wrong codes"),
    ("failed to satisfy enforcement", CredentialError, "totp.wrong", "the code is wrong or was shown before"),
    ("authorization_pending", CredentialError, "oidc.pending", "nobody was at the identity provider yet"),
    ("slow_down", CredentialError, "oidc.slow_down", "the identity provider wants to be asked less often"),
    ("invalid username or password", CredentialError, "login.refused", "name or password is wrong"),
    ("invalid role or secret id", CredentialError, "login.refused", "this login is used up or expired"),
    ("invalid secret id", CredentialError, "login.refused", "this login is used up or expired"),
)


def understand(status: int, content: bytes, path: str) -> dict[str, Any]:
    """The answer's object, or the error it means. Pure; no word of the answer enters an error.

    ``path`` is quoted in errors: paths hold ids, never secrets.
    """
    if status == 204:
        return {}
    parsed: Any = None
    try:
        parsed = json.loads(content) if content else {}
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise VaultUnreachable(f"Vault answered {status} at {path} with something that is not JSON")
    if status == 200:
        return parsed
    said = "\n".join(str(error) for error in parsed.get("errors") or ())
    if status == 503 or "is sealed" in said:
        raise VaultUnreachable("Vault is sealed or standing by", code="vault.sealed", mend="sandbox doctor")
    if status not in (400, 403, 404) or "no handler for route" in said:
        raise VaultUnreachable(
            f"Vault answered {status} at {path}", mend="sandbox doctor; is its audit disk full?"
        )
    for words, kind, code, meaning in _MEANINGS:
        if words in said:
            raise kind(f"{path}: {meaning}", code=code)
    if status == 404:
        raise NotFound(f"{path}: nothing there", code="vault.not_found")
    if status == 403:
        dead = said.strip() == "permission denied"
        raise CredentialError(
            f"{path}: the credential is dead or unknown" if dead else f"{path}: Vault's policy refuses it",
            code="credential.dead" if dead else "credential.denied",
        )
    raise CredentialError(f"{path}: Vault refused the request (400)", code="vault.rejected")


def part(answer: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object ``name`` of an answer. Raises VaultUnreachable when there is none."""
    held = answer.get(name)
    if not isinstance(held, dict):
        raise VaultUnreachable(f"Vault's answer has no {name}")
    return held


def text(answer: dict[str, Any], inside: str, name: str) -> str:
    """The string ``name`` in the object ``inside`` of an answer. Raises VaultUnreachable when there is none."""
    value = part(answer, inside).get(name)
    if not isinstance(value, str) or not value:
        raise VaultUnreachable(f"Vault's answer has no {inside}.{name}")
    return value
