"""A subject's export as a sealed letter to Party A: one header line, then HPKE (RFC 9180, base mode) over all of it.

``{"format", "subject", "to"}`` as canonical JSON, a newline, ``enc | ciphertext``. The header is HPKE's ``info``, so a
letter cannot be passed off as somebody else's. X25519, HKDF-SHA256, AES-256-GCM.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from sandbox.consignment.envelope import IntakeKey
from sandbox.errors import EvidenceMismatch, StatementError, Usage
from sandbox.statements import PublicKey, canonical_json, open_statement

FORMAT = "subject-export/1"
STATEMENT = "subject-report"
MAX_HEADER = 1024


def seal_letter(content: Mapping[str, Any], subject: str, to: IntakeKey) -> bytes:
    """``content`` for the holder of ``to`` alone. Raises Usage when that key cannot be encrypted to."""
    header = canonical_json({"format": FORMAT, "subject": subject, "to": to.keyid})
    try:
        key = X25519PublicKey.from_public_bytes(to.raw)
        return header + b"\n" + _suite().encrypt(canonical_json(content), key, header)
    except ValueError:  # a point of low order gives no shared secret
        raise Usage("this public key cannot be encrypted to", code="key.invalid") from None


def open_letter(letter: bytes, private: bytes) -> dict[str, Any]:
    """The content, to the holder of the key's private half (32 bytes).

    Raises:
        StatementError: no letter of this form.
        EvidenceMismatch: it was written to another key, or altered.
    """
    header, _, sealed = letter[: MAX_HEADER + 1].partition(b"\n")
    sealed = letter[len(header) + 1 :]
    try:
        said = json.loads(header)
        if (
            canonical_json(said) != header
            or set(said) != {"format", "subject", "to"}
            or said["format"] != FORMAT
        ):
            raise ValueError
    except (ValueError, TypeError, StatementError):
        raise StatementError("this is no subject export", code="export.unreadable") from None
    if said["to"] != IntakeKey.of_private(private).keyid:
        raise EvidenceMismatch("this export was written to another key", code="export.foreign")
    try:
        plain = _suite().decrypt(sealed, X25519PrivateKey.from_private_bytes(private), header)
    except (InvalidTag, ValueError):
        raise EvidenceMismatch("this export was altered", code="export.altered") from None
    found: dict[str, Any] = json.loads(plain)
    return found


def verified(content: Mapping[str, Any], keys: Mapping[str, Sequence[PublicKey]]) -> dict[str, Any]:
    """What custodian and gate say in an opened letter, each under its own signature.

    Raises StatementError when one is missing, is not signed by its service, or is about somebody else.
    """
    found = {}
    for hand, trusted in keys.items():
        statement = open_statement(str(content.get(hand, "")).encode(), STATEMENT, trusted)
        if (
            statement.predicate.get("subject") != content.get("subject")
            or statement.predicate.get("by") != hand
        ):
            raise StatementError(f"the {hand}'s part is about somebody else", code="export.foreign")
        found[hand] = dict(statement.predicate)
    return {"subject": content["subject"], **found}


def _suite() -> Suite:
    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
