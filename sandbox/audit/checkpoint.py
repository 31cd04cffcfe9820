"""Signed checkpoints of the log: C2SP ``tlog-checkpoint`` inside a ``signed-note``.

    <origin>
    <size, decimal>
    <root hash, base64>
    <empty line>
    — <key name> <base64 of 4 bytes of key hash | 64 bytes of ed25519 over the text above, its last newline included>

Sources: https://c2sp.org/tlog-checkpoint, https://c2sp.org/signed-note (signature type 0x01, ed25519).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.errors import StatementError
from sandbox.statements import PublicKey, Signer

_ED25519 = b"\x01"
_ORIGIN = re.compile(r"[A-Za-z0-9._/-]{1,100}")
MAX_NOTE_BYTES = 4096


@dataclass(frozen=True)
class Checkpoint:
    """What the log was at one moment, and which key says so."""

    origin: str
    size: int
    root: bytes
    keyid: str


def key_hash(name: str, key: PublicKey) -> bytes:
    """Four bytes by which a reader finds the key of a signature line."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + key.raw).digest()[:4]


def sign_checkpoint(origin: str, size: int, root: bytes, signer: Signer) -> bytes:
    """The note's bytes. The key's name is the origin."""
    if not _ORIGIN.fullmatch(origin) or size < 0 or len(root) != 32:
        raise StatementError("not a checkpoint: origin, size or root is not what it must be")
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n".encode()
    mark = key_hash(origin, signer.public) + signer.sign(text)
    return text + b"\n" + f"— {origin} {base64.b64encode(mark).decode()}\n".encode()


def open_checkpoint(note: bytes, origin: str, keys: Sequence[PublicKey]) -> Checkpoint:
    """What the note says, once one of ``keys`` has signed it. Lines of other signers (witnesses) are passed over.

    Raises:
        StatementError: not a note, of another log, or not signed by ``keys``. Nothing unsigned is parsed.
    """
    head, gap, tail = note.partition(b"\n\n")
    text = head + b"\n"
    if not gap or len(note) > MAX_NOTE_BYTES or not tail.endswith(b"\n"):
        raise StatementError("not a signed note", code="checkpoint.invalid")
    signed_by = next((key for key in keys if _signed(text, tail, origin, key)), None)
    if signed_by is None:
        raise StatementError(
            "the checkpoint is not signed by a key that is trusted for it", code="checkpoint.invalid"
        )
    try:
        found, size, encoded = text.decode().splitlines()[:3]
        root = base64.b64decode(encoded, validate=True)
        if found != origin or not re.fullmatch(r"0|[1-9][0-9]{0,17}", size) or len(root) != 32:
            raise ValueError
    except ValueError:
        raise StatementError("signed, but no checkpoint of this log", code="checkpoint.invalid") from None
    return Checkpoint(origin, int(size), root, signed_by.keyid)


def _signed(text: bytes, tail: bytes, origin: str, key: PublicKey) -> bool:
    wanted = key_hash(origin, key)
    for line in tail.splitlines():
        parts = line.split(b" ")
        if len(parts) != 3 or parts[0] != "—".encode() or parts[1] != origin.encode():
            continue
        try:
            mark = base64.b64decode(parts[2], validate=True)
        except ValueError:
            continue
        if mark[:4] == wanted and key.verifies(mark[4:], text):
            return True
    return False
