"""Signing with a service's ed25519 key inside Vault's transit engine; the private half never leaves it.

securesystemslib's own ``VaultSigner`` wants ``VAULT_*`` variables and the mount ``transit``; this one needs neither.
"""

from __future__ import annotations

import base64
import binascii
from functools import cached_property

from sandbox.errors import VaultUnreachable
from sandbox.statements import PublicKey
from sandbox.vault.answers import part
from sandbox.vault.http import Vault

HANDS = ("gate", "custodian")


class TransitSigner:
    """A :class:`sandbox.statements.Signer` over ``sign/<hand>``."""

    def __init__(self, vault: Vault, hand: str) -> None:
        self._vault = vault
        self._hand = hand

    @cached_property
    def public(self) -> PublicKey:
        return public_keys(self._vault, self._hand)[0]

    @property
    def keyid(self) -> str:
        return self.public.keyid

    def sign(self, data: bytes) -> bytes:
        """64 raw bytes. Raises VaultUnreachable when the answer does not verify (the key was rotated: log in anew)."""
        body = {"input": base64.b64encode(data).decode()}
        answer = part(self._vault.write(f"sign/sign/{self._hand}", body), "data")
        try:
            signature = base64.b64decode(str(answer["signature"]).rsplit(":", 1)[1], validate=True)
        except (KeyError, IndexError, binascii.Error):
            signature = b""
        if not self.public.verifies(signature, data):
            raise VaultUnreachable(
                f"Vault's signature by {self._hand} does not verify", code="vault.signature"
            )
        return signature


def public_keys(vault: Vault, hand: str) -> tuple[PublicKey, ...]:
    """Every version of ``sign/<hand>``'s public half, newest first."""
    found = part(part(vault.read(f"sign/keys/{hand}"), "data"), "keys")
    newest = sorted(found, key=int, reverse=True)
    return tuple(PublicKey(base64.b64decode(found[version]["public_key"])) for version in newest)
