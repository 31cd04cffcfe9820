"""Snapshots of the embedded Vault's storage: taken by the supervisor's login, installed under a fresh root token.

A snapshot is ciphertext under the seal key. It holds every key that Vault held then, also those destroyed since.
"""

from __future__ import annotations

from sandbox.errors import VaultUnreachable
from sandbox.vault.http import Vault

_GZIP = b"\x1f\x8b"


def take(vault: Vault) -> bytes:
    """Raises CredentialError when the login may not, VaultUnreachable when what comes is no snapshot."""
    data = vault.exchange("get", "sys/storage/raft/snapshot")
    if not data.startswith(_GZIP):
        raise VaultUnreachable("Vault's snapshot is not readable", code="vault.snapshot")
    return data


def install(vault: Vault, data: bytes) -> None:
    """Replace everything in Vault by the snapshot, also one of another Vault; restart the server after."""
    vault.exchange("post", "sys/storage/raft/snapshot-force", data)
