"""One record: payload to ciphertext and back. AES-256-GCM, random 96-bit nonce (SEALED.md).

Bytes: nonce12 | ciphertext | tag16. Same wire format as Tink's ``AES256_GCM_RAW``.
Payload: msgpack map ``{"flac": bytes, "text": str, "source": {str: str}}``; all personal data lies in here.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgpack
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox.errors import SealBroken
from sandbox.records import NONCE_BYTES, TAG_BYTES, IndexRow, record_aad
from sandbox.sealing.keyring import KEY_BYTES

OVERHEAD = NONCE_BYTES + TAG_BYTES
MAX_SEALED_BYTES = 64 << 20


@dataclass(frozen=True)
class Record:
    """One utterance in memory. ``flac`` is mono FLAC of ``samples`` samples at ``sample_rate`` Hz."""

    record: str
    subject: str
    language: str
    sample_rate: int
    samples: int
    text: str = field(repr=False)
    flac: bytes = field(repr=False)
    source: Mapping[str, str] = field(default_factory=dict, repr=False)


def draw_key() -> bytes:
    """A fresh data key from the system's generator."""
    return secrets.token_bytes(KEY_BYTES)


def cipher(key: bytes) -> AESGCM:
    """Raises SealBroken unless ``key`` has 32 bytes."""
    if len(key) != KEY_BYTES:
        raise SealBroken("a data key has another length than 32 bytes", code="seal.key_invalid")
    return AESGCM(key)


def encrypt(key: AESGCM, plain: bytes, aad: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + key.encrypt(nonce, plain, aad)


def decrypt(key: AESGCM, sealed: bytes, aad: bytes, what: str) -> bytes:
    """Raises SealBroken; ``what`` names the object by its id. Never ``decrypt_into``: it leaves unverified bytes."""
    if len(sealed) < OVERHEAD:
        raise SealBroken(f"{what} is shorter than a nonce and a tag")
    try:
        return key.decrypt(sealed[:NONCE_BYTES], memoryview(sealed)[NONCE_BYTES:], aad)
    except InvalidTag:
        raise SealBroken(f"{what} does not authenticate", code="seal.forged") from None


def seal_record(record: Record, dataset: str, revision: int, key: AESGCM) -> bytes:
    payload = {"flac": record.flac, "text": record.text, "source": dict(record.source)}
    aad = record_aad(dataset, record.record, record.subject, revision)
    return encrypt(key, msgpack.packb(payload), aad)


def open_record(sealed: bytes, row: IndexRow, dataset: str, key: AESGCM) -> Record:
    """Length, tag pin, AEAD, shape: in this order.

    Raises:
        SealBroken: the bytes are not those of that row.
    """
    what = f"record {row.record}"
    if len(sealed) != row.length:
        raise SealBroken(f"{what} has another length than the index says")
    if sealed[-TAG_BYTES:] != row.tag:
        raise SealBroken(f"{what} has another tag than the index pins", code="seal.tag_differs")
    plain = decrypt(key, sealed, record_aad(dataset, row.record, row.subject, row.revision), what)
    try:
        payload = msgpack.unpackb(plain, raw=False)
        flac, text = payload["flac"], payload["text"]
        source = {str(name): str(value) for name, value in payload["source"].items()}
    except Exception:  # noqa: BLE001 - authentic, but not a payload: every way to fail means the same
        raise SealBroken(f"{what} is authentic, but its payload is not that of a record") from None
    if not isinstance(flac, bytes) or not isinstance(text, str):
        raise SealBroken(f"{what} is authentic, but its payload is not that of a record")
    return Record(row.record, row.subject, row.language, row.sample_rate, row.samples, text, flac, source)
