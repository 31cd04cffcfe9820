"""``sealed-artifact/1``: what a run derives (CONTRACTS, "Artifact bytes"). Integers big-endian.

- ``VSAR1`` | u32 header length | header (canonical JSON) | chunks
- chunk: AES-256-GCM ciphertext | tag16 of ``chunk_bytes`` plain bytes (the last: the rest); at least one chunk
- nonce: 7 zero bytes | u32 index | u8 last, in the manner of STREAM (Hoang, Reyhanitabar, Rogaway, Vizar 2015)
- additional data: sha256(magic, length, header) | u32 index | u8 last

Nonces count from zero, so **a key seals one artifact, once**; the same plaintext sealed again is the same bytes.
The keeper seals, a container or a signed release opens; the gate holds no key and checks header and size.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox.errors import SealBroken
from sandbox.records import TAG_BYTES
from sandbox.sealing.artifact_header import (
    CHUNK_BYTES,
    MAX_HEADER_BYTES,
    ArtifactHeader,
    ParsedHeader,
    chunk_length,
    parse_header,
    parse_whole,
    read_header,
)
from sandbox.sealing.records import cipher

__all__ = [
    "CHUNK_BYTES",
    "MAX_HEADER_BYTES",
    "ArtifactHeader",
    "ArtifactSealer",
    "ParsedHeader",
    "cut",
    "open_artifact",
    "parse_header",
    "read_header",
    "seal_artifact",
    "seal_pieces",
]


class ArtifactSealer:
    """Seals one artifact chunk by chunk, in any order, any number of times: the bytes are always the same."""

    def __init__(self, header: ArtifactHeader, key: bytes) -> None:
        self.header = header
        self.prefix = header.encode()
        self._cipher = cipher(key)
        self._binding = hashlib.sha256(self.prefix).digest()

    def chunk(self, index: int, plain: bytes | memoryview) -> bytes:
        """Chunk ``index`` from exactly its plain bytes."""
        if len(plain) != chunk_length(self.header, index):
            raise SealBroken(f"chunk {index} has {len(plain)} bytes", code="artifact.length_differs")
        counter = _counter(self.header, index)
        return self._cipher.encrypt(bytes(7) + counter, plain, self._binding + counter)


def seal_artifact(header: ArtifactHeader, key: bytes, plain: bytes) -> bytes:
    """A whole artifact at once; see :func:`seal_pieces`."""
    return b"".join(seal_pieces(header, key, [plain]))


def seal_pieces(header: ArtifactHeader, key: bytes, plain: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """Prefix, then sealed chunks, from plain pieces of any size; holds one chunk at a time.

    Raises:
        SealBroken: the pieces are not ``header.length`` long in all.
    """
    sealer = ArtifactSealer(header, key)
    yield sealer.prefix
    sealed = 0
    for chunk in cut(plain, header.chunk_bytes):
        yield sealer.chunk(sealed, chunk)
        sealed += 1
    if header.length == 0:
        yield sealer.chunk(0, b"")  # at least one chunk
    elif sealed != header.chunks:
        raise SealBroken("the artifact is shorter than its header says", code="artifact.length_differs")


def cut(pieces: Iterable[bytes | memoryview], size: int) -> Iterator[bytes | memoryview]:
    """The same bytes in pieces of ``size``, the last one of what is left. What lies in one piece is not copied."""
    held = bytearray()
    for piece in pieces:
        left = memoryview(piece)
        while left.nbytes:
            taken, left = left[: size - len(held)], left[size - len(held) :]
            if len(taken) == size:
                yield taken
                continue
            held += taken
            if len(held) == size:
                yield bytes(held)
                held.clear()
    if held:
        yield bytes(held)


def open_artifact(data: bytes, key: bytes) -> bytes:
    """The plain bytes, once every chunk has authenticated.

    Raises:
        SealBroken: cut, extended, reordered, altered, or another key.
    """
    parsed = parse_whole(data)
    return b"".join(_open_chunks(parsed, memoryview(data)[parsed.body :], cipher(key)))


def _open_chunks(parsed: ParsedHeader, body: memoryview, key: AESGCM) -> Iterator[bytes]:
    header, binding, start = parsed.header, hashlib.sha256(parsed.prefix).digest(), 0
    for index in range(header.chunks):
        counter = _counter(header, index)
        end = start + chunk_length(header, index) + TAG_BYTES
        try:
            yield key.decrypt(bytes(7) + counter, body[start:end], binding + counter)
        except InvalidTag:
            what = f"chunk {index} of {header.path}"
            raise SealBroken(f"{what} does not authenticate", code="artifact.forged") from None
        start = end


def _counter(header: ArtifactHeader, index: int) -> bytes:
    return struct.pack(">IB", index, index == header.chunks - 1)
