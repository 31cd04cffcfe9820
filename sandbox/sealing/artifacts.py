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
import json
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox.errors import SealBroken, Usage
from sandbox.records import ARTIFACT_FORMAT, TAG_BYTES, check_id
from sandbox.runs import MEDIA_TYPES
from sandbox.sealing.records import cipher
from sandbox.statements import canonical_json

MAGIC = b"VSAR1"
CHUNK_BYTES = 1 << 20
MAX_HEADER_BYTES = 16 << 10
MAX_PLAIN_BYTES = 1 << 40
_PREFIX = len(MAGIC) + 4
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,127}){0,3}")


@dataclass(frozen=True)
class ArtifactHeader:
    """All that is said in clear, and bound to every chunk.

    ``wrapped_key`` opens in ``derivatives/<agreement>``; ``length`` counts plain bytes.
    """

    run: str
    grant: str
    agreement: str
    path: str
    step: int
    media_type: str
    wrapped_key: str
    length: int
    chunk_bytes: int = CHUNK_BYTES
    format: str = ARTIFACT_FORMAT

    def encode(self) -> bytes:
        """Magic, length and header: the first bytes of the artifact."""
        check_header(self)
        header = canonical_json(asdict(self))
        return MAGIC + struct.pack(">I", len(header)) + header

    @property
    def chunks(self) -> int:
        return max(1, -(-self.length // self.chunk_bytes))

    @property
    def sealed_bytes(self) -> int:
        """Size of the whole artifact."""
        return len(self.encode()) + self.length + self.chunks * TAG_BYTES


def check_header(header: ArtifactHeader) -> None:
    """Raises SealBroken unless every field is possible."""
    fault = _fault(header)
    if fault:
        raise SealBroken(f"artifact header: {fault}", code="artifact.header_invalid")


def _fault(header: ArtifactHeader) -> str:
    try:
        check_id("run", header.run)
        check_id("grant", header.grant)
        check_id("agreement", header.agreement)
    except Usage as fault:
        return fault.message
    if header.format != ARTIFACT_FORMAT or header.chunk_bytes != CHUNK_BYTES:
        return "unknown format or chunk size"
    if header.media_type not in MEDIA_TYPES:
        return "media type is not safetensors, FLAC or JSON"
    if not _PATH.fullmatch(header.path):
        return "path is no plain relative path"
    if not header.wrapped_key.startswith("vault:v"):
        return "no wrapped data key"
    if header.step < 0 or not 0 <= header.length <= MAX_PLAIN_BYTES:
        return "step or length is impossible"
    return ""


@dataclass(frozen=True)
class ParsedHeader:
    """A header as it stands in the bytes; the chunks begin at ``body``."""

    header: ArtifactHeader
    prefix: bytes

    @property
    def body(self) -> int:
        return len(self.prefix)


def parse_header(data: bytes) -> ParsedHeader | None:
    """The header at the beginning of ``data``, or None while too few bytes are there. Needs no key.

    Raises:
        SealBroken: this is no sealed artifact, or its header is not canonical or impossible.
    """
    if not MAGIC.startswith(data[: len(MAGIC)]) and not data.startswith(MAGIC):
        raise SealBroken("not a sealed artifact", code="artifact.not_sealed")
    if len(data) < _PREFIX:
        return None
    (length,) = struct.unpack_from(">I", data, len(MAGIC))
    if length > MAX_HEADER_BYTES:
        raise SealBroken("artifact header is too long", code="artifact.header_invalid")
    if len(data) < _PREFIX + length:
        return None
    raw = bytes(data[_PREFIX : _PREFIX + length])
    try:
        values = json.loads(raw)
        kinds = {field.name: int if field.type == "int" else str for field in fields(ArtifactHeader)}
        if {name: type(value) for name, value in values.items()} != kinds or canonical_json(values) != raw:
            raise ValueError
        header = ArtifactHeader(**values)
    except (ValueError, TypeError, AttributeError):
        raise SealBroken("artifact header is no canonical JSON", code="artifact.header_invalid") from None
    check_header(header)
    return ParsedHeader(header, bytes(data[: _PREFIX + length]))


class ArtifactSealer:
    """Seals one artifact chunk by chunk, in any order, any number of times: the bytes are always the same."""

    def __init__(self, header: ArtifactHeader, key: bytes) -> None:
        self.header = header
        self.prefix = header.encode()
        self._cipher = cipher(key)
        self._binding = hashlib.sha256(self.prefix).digest()

    def chunk(self, index: int, plain: bytes) -> bytes:
        """Chunk ``index`` from exactly its plain bytes."""
        if len(plain) != chunk_length(self.header, index):
            raise SealBroken(f"chunk {index} has {len(plain)} bytes", code="artifact.length_differs")
        counter = _counter(self.header, index)
        return self._cipher.encrypt(bytes(7) + counter, plain, self._binding + counter)


def chunk_length(header: ArtifactHeader, index: int) -> int:
    """Plain bytes of chunk ``index``."""
    if not 0 <= index < header.chunks:
        raise SealBroken(f"the artifact has no chunk {index}", code="artifact.length_differs")
    return min(header.chunk_bytes, header.length - index * header.chunk_bytes)


def seal_artifact(header: ArtifactHeader, key: bytes, plain: bytes) -> bytes:
    """A whole artifact at once; see :func:`seal_pieces`."""
    return b"".join(seal_pieces(header, key, [plain]))


def seal_pieces(header: ArtifactHeader, key: bytes, plain: Iterable[bytes]) -> Iterator[bytes]:
    """Prefix, then sealed chunks, from plain pieces of any size; holds one chunk at a time.

    Raises:
        SealBroken: the pieces are not ``header.length`` long in all.
    """
    sealer = ArtifactSealer(header, key)
    yield sealer.prefix
    buffer, index = bytearray(), 0
    for piece in plain:
        buffer += piece
        while index < header.chunks - 1 and len(buffer) >= header.chunk_bytes:
            yield sealer.chunk(index, bytes(buffer[: header.chunk_bytes]))
            del buffer[: header.chunk_bytes]
            index += 1
    if index != header.chunks - 1:
        raise SealBroken("the artifact is shorter than its header says", code="artifact.length_differs")
    yield sealer.chunk(index, bytes(buffer))


def read_header(data: bytes) -> ArtifactHeader:
    """The header of a whole artifact, once its size is what the header says. Needs no key: the gate's check.

    Raises:
        SealBroken: no sealed artifact, an impossible header, or another length.
    """
    return _parse_whole(data).header


def open_artifact(data: bytes, key: bytes) -> bytes:
    """The plain bytes, once every chunk has authenticated.

    Raises:
        SealBroken: cut, extended, reordered, altered, or another key.
    """
    parsed = _parse_whole(data)
    return b"".join(_open_chunks(parsed, memoryview(data)[parsed.body :], cipher(key)))


def _parse_whole(data: bytes) -> ParsedHeader:
    parsed = parse_header(data)
    if parsed is None or len(data) != parsed.header.sealed_bytes:
        raise SealBroken("the artifact is not as long as its header says", code="artifact.length_differs")
    return parsed


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
