"""Signed statements: canonical JSON, DSSE envelopes, in-toto Statement v1.

Whatever two rooms must agree on is a statement, stored as exact bytes; its digest is the sha256 of those bytes.
Signatures are ed25519 over DSSE's pre-authentication encoding. This file verifies; whoever signs brings a
:class:`Signer` (Vault's transit for the services, a party's own key for an agreement).

Sources: DSSE v1 (https://github.com/secure-systems-lab/dsse), in-toto attestation Statement v1, RFC 8032.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sandbox.errors import StatementError

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope

INTOTO = "application/vnd.in-toto+json"
STATEMENT_V1 = "https://in-toto.io/Statement/v1"
AGREEMENT = "application/vnd.voice-sandbox.agreement+yaml"


def canonical_json(value: object) -> bytes:
    """One spelling for one value: sorted keys, no white space, UTF-8, no NaN.

    Lists of strings and integers are injective under it, which is what the AAD of sealed records relies on.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()
    except (TypeError, ValueError) as fault:
        raise StatementError(f"not representable as canonical JSON: {fault}") from None


def sha256(data: bytes) -> str:
    """Hex sha256 of exact bytes."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class PublicKey:
    """An ed25519 public key; ``keyid`` is the sha256 of its 32 raw bytes."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != 32:
            raise StatementError("an ed25519 public key has 32 bytes")

    @cached_property
    def keyid(self) -> str:
        return sha256(self.raw)

    @property
    def text(self) -> str:
        """``ed25519:BASE64``, the spelling of configuration files."""
        return "ed25519:" + base64.b64encode(self.raw).decode()

    @classmethod
    def from_text(cls, text: str) -> PublicKey:
        scheme, _, value = text.strip().partition(":")
        try:
            if scheme != "ed25519":
                raise ValueError
            return cls(base64.b64decode(value, validate=True))
        except ValueError:
            raise StatementError("a public key is written ed25519:BASE64 (32 bytes)") from None

    @classmethod
    def from_pem(cls, pem: bytes | str) -> PublicKey:
        data = pem.encode() if isinstance(pem, str) else pem
        try:
            key = serialization.load_pem_public_key(data)
        except ValueError:
            raise StatementError("not a PEM public key") from None
        if not isinstance(key, Ed25519PublicKey):
            raise StatementError("not an ed25519 public key")
        return cls(key.public_bytes_raw())

    def verifies(self, signature: bytes, data: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, data)
        except InvalidSignature:
            return False
        return True


class Signer(Protocol):
    """Signs DSSE's pre-authentication encoding; the private key stays wherever it lives."""

    @property
    def keyid(self) -> str:
        """Key id of the public half."""
        ...

    @property
    def public(self) -> PublicKey:
        """The public half."""
        ...

    def sign(self, data: bytes) -> bytes:
        """64 raw bytes of ed25519 over ``data``."""
        ...


@dataclass(frozen=True)
class Ed25519Signer:
    """A signer over a private key in memory: a party's own key, never a service's."""

    private: Ed25519PrivateKey

    @property
    def public(self) -> PublicKey:
        return PublicKey(self.private.public_key().public_bytes_raw())

    @property
    def keyid(self) -> str:
        return self.public.keyid

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data)


def _envelope() -> type[Envelope]:
    """DSSE's envelope, when first used: the library brings an HTTP client, which a trainer has no business to load."""
    from securesystemslib.dsse import Envelope

    return Envelope


def sign_envelope(payload_type: str, payload: bytes, signers: Iterable[Signer]) -> bytes:
    """The bytes of ``NAME.dsse.json``."""
    envelope = _envelope()(payload, payload_type, {})
    encoded = envelope.pae()
    signatures = [
        {"keyid": signer.keyid, "sig": base64.b64encode(signer.sign(encoded)).decode()} for signer in signers
    ]
    return canonical_json({**envelope.to_dict(), "signatures": signatures})


def open_envelope(data: bytes, payload_type: str, keys: Sequence[PublicKey], threshold: int = 1) -> bytes:
    """The payload, once at least ``threshold`` different ``keys`` have signed it. Nothing unsigned is parsed.

    Raises:
        StatementError: malformed, another payload type, or too few valid signatures by the keys given.
    """
    if threshold < 1 or len({key.keyid for key in keys}) < threshold:
        raise StatementError("fewer trusted keys than signatures are required")
    try:
        envelope = _envelope().from_dict(json.loads(data))
    except Exception:  # noqa: BLE001 - a stranger's bytes fail in many ways; all of them mean the same
        raise StatementError("not a DSSE envelope") from None
    if envelope.payload_type != payload_type:
        raise StatementError(f"payload type is {envelope.payload_type!r}, expected {payload_type!r}")
    encoded = envelope.pae()
    signed = 0
    for key in {key.keyid: key for key in keys}.values():
        signature = envelope.signatures.get(key.keyid)
        if signature is not None and key.verifies(_raw(signature.signature), encoded):
            signed += 1
    if signed < threshold:
        raise StatementError(f"{signed} of {threshold} required signatures verify")
    return bytes(envelope.payload)


def _raw(signature_hex: str) -> bytes:
    try:
        return bytes.fromhex(signature_hex)
    except ValueError:
        return b""


def predicate_type(name: str) -> str:
    return f"urn:voice-sandbox:{name}:v1"


@dataclass(frozen=True)
class Statement:
    """A verified in-toto statement. ``digest`` is the sha256 of the envelope's bytes."""

    name: str
    subjects: tuple[tuple[str, str], ...]
    predicate: Mapping[str, Any]
    digest: str


def make_statement(name: str, subjects: Iterable[tuple[str, str]], predicate: Mapping[str, Any]) -> bytes:
    """Payload bytes of an in-toto Statement v1; ``subjects`` are (name, sha256 hex) pairs."""
    return canonical_json(
        {
            "_type": STATEMENT_V1,
            "subject": [{"name": subject, "digest": {"sha256": digest}} for subject, digest in subjects],
            "predicateType": predicate_type(name),
            "predicate": predicate,
        }
    )


def sign_statement(
    name: str, subjects: Iterable[tuple[str, str]], predicate: Mapping[str, Any], signers: Iterable[Signer]
) -> bytes:
    """Envelope bytes of a statement, ready to be stored as ``<id>.dsse.json``."""
    return sign_envelope(INTOTO, make_statement(name, subjects, predicate), signers)


def open_statement(data: bytes, name: str, keys: Sequence[PublicKey], threshold: int = 1) -> Statement:
    """Verify, then parse.

    Raises:
        StatementError: as :func:`open_envelope`, or the payload is no statement of that name.
    """
    payload = open_envelope(data, INTOTO, keys, threshold)
    try:
        parsed = json.loads(payload)
        if parsed["_type"] != STATEMENT_V1:
            raise StatementError("not an in-toto Statement v1")
        if parsed["predicateType"] != predicate_type(name):
            raise StatementError(
                f"statement is {parsed['predicateType']!r}, expected {predicate_type(name)!r}"
            )
        subjects = tuple((str(s["name"]), str(s["digest"]["sha256"])) for s in parsed["subject"])
        predicate = parsed["predicate"]
    except (KeyError, TypeError, ValueError):
        raise StatementError("signed, but not an in-toto statement") from None
    if not isinstance(predicate, dict):
        raise StatementError("signed, but without a predicate")
    return Statement(name, subjects, predicate, sha256(data))
