"""A consignment's content key, encrypted to the custodian's intake key: HPKE, RFC 9180, base mode.

Suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. ``info`` binds the wrapped key to its consignment.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from sandbox.errors import ConsignmentError, Usage
from sandbox.statements import canonical_json, sha256

FORMAT = "consignment/1"
KEY_BYTES = 32


@dataclass(frozen=True)
class IntakeKey:
    """The public half of the custodian's intake key; ``keyid`` is the sha256 of its 32 raw bytes."""

    raw: bytes

    @property
    def keyid(self) -> str:
        return sha256(self.raw)

    @property
    def text(self) -> str:
        return "x25519:" + base64.b64encode(self.raw).decode()

    @classmethod
    def from_text(cls, text: str) -> IntakeKey:
        """Raises Usage."""
        scheme, _, value = text.strip().partition(":")
        try:
            raw = base64.b64decode(value, validate=True) if scheme == "x25519" else b""
        except ValueError:
            raw = b""
        if len(raw) != KEY_BYTES:
            raise Usage("an intake key is written x25519:BASE64 (32 bytes)", code="key.invalid")
        return cls(raw)

    @classmethod
    def of_private(cls, private: bytes) -> IntakeKey:
        return cls(X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw())


def draw_private() -> bytes:
    """A fresh intake key's private half: 32 bytes."""
    return X25519PrivateKey.generate().private_bytes_raw()


def wrap_key(content_key: bytes, to: IntakeKey, bound_to: tuple[str, ...]) -> bytes:
    """``enc | ciphertext``, 80 bytes. ``bound_to``: consignment, agreement, dataset."""
    try:
        return _suite().encrypt(content_key, X25519PublicKey.from_public_bytes(to.raw), _info(bound_to))
    except ValueError:  # a point of low order gives no shared secret
        raise Usage("this intake key cannot be encrypted to", code="key.invalid") from None


def unwrap_key(wrapped: bytes, private: bytes, bound_to: tuple[str, ...]) -> bytes:
    """The 32 bytes of the content key.

    Raises:
        ConsignmentError: it was encrypted to another key, for another consignment, or altered.
    """
    try:
        key = _suite().decrypt(wrapped, X25519PrivateKey.from_private_bytes(private), _info(bound_to))
    except (InvalidTag, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConsignmentError(
            f"the key of consignment {bound_to[0]} does not open", code="consignment.key_differs"
        )
    return key


def _suite() -> Suite:
    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def _info(bound_to: tuple[str, ...]) -> bytes:
    return canonical_json([FORMAT, *bound_to])
