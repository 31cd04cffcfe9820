"""The header of ``sealed-artifact/1``: all that is said in clear, checked without a key. The gate's half of the format.

Bytes: ``VSAR1`` | u32 header length, big-endian | canonical JSON. See :mod:`sandbox.sealing.artifacts` for the rest.
"""

from __future__ import annotations

import json
import re
import struct
from dataclasses import asdict, dataclass, fields

from sandbox.errors import SealBroken, Usage
from sandbox.records import ARTIFACT_FORMAT, TAG_BYTES, check_id
from sandbox.runs import MEDIA_TYPES
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


def read_header(data: bytes) -> ArtifactHeader:
    """The header of a whole artifact, once its size is what the header says. Needs no key: the gate's check.

    Raises:
        SealBroken: no sealed artifact, an impossible header, or another length.
    """
    return parse_whole(data).header


def parse_whole(data: bytes) -> ParsedHeader:
    parsed = parse_header(data)
    if parsed is None or len(data) != parsed.header.sealed_bytes:
        raise SealBroken("the artifact is not as long as its header says", code="artifact.length_differs")
    return parsed


def chunk_length(header: ArtifactHeader, index: int) -> int:
    """Plain bytes of chunk ``index``."""
    if not 0 <= index < header.chunks:
        raise SealBroken(f"the artifact has no chunk {index}", code="artifact.length_differs")
    return min(header.chunk_bytes, header.length - index * header.chunk_bytes)
