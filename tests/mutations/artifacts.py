"""A sealed artifact: its bytes, its binding to a run, and a header that the gate must refuse without a key."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sandbox.runs import JSON
from sandbox.sealing.artifacts import (
    CHUNK_BYTES,
    open_artifact,
    read_header,
    seal_artifact,
)
from sandbox.statements import canonical_json
from tests.fakes.artifact import artifact_header
from tests.mutations.case import Case
from tests.mutations.checks import AEAD
from tests.mutations.removal import Check, Edit, check

PLAIN = bytes(2 * CHUNK_BYTES) + b"weights"
STEP = CHUNK_BYTES + 16
HEADER = artifact_header(len(PLAIN))


def parse(name: str, held: str, instead: str = "if False:") -> Check:
    return check(name, "sealing.artifact_header:parse_header", held, instead)


def field(name: str, held: str, instead: str = "if False:") -> Check:
    return check(name, "sealing.artifact_header:_fault", held, instead)


BINDING = Check(
    "every chunk is bound to the header",
    (
        Edit(
            "sandbox.sealing.artifacts:ArtifactSealer.__init__",
            "hashlib.sha256(self.prefix).digest()",
            "bytes(32)",
        ),
        Edit("sandbox.sealing.artifacts:_open_chunks", "hashlib.sha256(parsed.prefix).digest()", "bytes(32)"),
    ),
)
WHOLE = "sealing.artifact_header:parse_whole"
LENGTH = check("the length of the header", WHOLE, " or len(data) != parsed.header.sealed_bytes", "")
THERE = check("a header is there", WHOLE, "parsed is None or ", "")
MAGIC = parse("magic", "if not MAGIC.startswith(data[: len(MAGIC)]) and not data.startswith(MAGIC):")
HEADER_SIZE = parse("the header's size", "if length > MAX_HEADER_BYTES:")
CANONICAL = parse("one spelling of a header", " or canonical_json(values) != raw", "")
TYPES = parse(
    "types and names of fields", "{name: type(value) for name, value in values.items()} != kinds or ", ""
)
PATH = field("a plain relative path", "if not _PATH.fullmatch(header.path):")
FORMAT = field("format of an artifact", "header.format != ARTIFACT_FORMAT or ", "")
CHUNK_SIZE = field("chunk size", " or header.chunk_bytes != CHUNK_BYTES", "")
MEDIA_TYPE = field("media type", "if header.media_type not in MEDIA_TYPES:")
WRAPPED = field("a key is wrapped", 'if not header.wrapped_key.startswith("vault:v"):')
STEP_SIGN = field("a possible step", "header.step < 0 or ", "")
LENGTH_SIGN = field("a possible length of an artifact", " or not 0 <= header.length <= MAX_PLAIN_BYTES", "")
RUN = field("run id", 'check_id("run", header.run)', "pass")
GRANT = field("grant id", 'check_id("grant", header.grant)', "pass")
AGREEMENT = field("agreement id", 'check_id("agreement", header.agreement)', "pass")


@dataclass
class Sealed:
    """The bytes of an artifact and the key that somebody tries."""

    data: bytes
    key: bytes

    @property
    def body(self) -> int:
        """Where the first chunk begins."""
        return len(HEADER.encode())


def sealed(_: Path) -> Sealed:
    """Two whole chunks and a short one."""
    return Sealed(seal_artifact(HEADER, bytes(range(32)), PLAIN), bytes(range(32)))


def unseal(artifact: Sealed) -> object:
    return open_artifact(artifact.data, artifact.key)


def admit(artifact: Sealed) -> object:
    """As the gate does, without a key."""
    return read_header(artifact.data)


def bit(offset: Callable[[Sealed], int]):
    def damage(artifact: Sealed) -> None:
        changed = bytearray(artifact.data)
        changed[offset(artifact)] ^= 1
        artifact.data = bytes(changed)

    return damage


def data(change: Callable[[bytes, int], bytes]):
    """``change`` gets all bytes and where the body begins."""

    def damage(artifact: Sealed) -> None:
        artifact.data = change(artifact.data, artifact.body)

    return damage


def chunk(held: bytes, body: int, number: int) -> bytes:
    return held[body + number * STEP : body + (number + 1) * STEP]


def chunks(*order: int):
    return data(lambda held, body: held[:body] + b"".join(chunk(held, body, number) for number in order))


def cut_and_told(held: bytes, body: int) -> bytes:
    return replace(HEADER, length=2 * CHUNK_BYTES).encode() + held[body : body + 2 * STEP]


def other_header(**changes: Any):
    """A possible header before the same chunks."""
    return data(lambda held, body: replace(HEADER, **changes).encode() + held[body:])


def impossible(**changes: Any):
    """A header that no honest side would encode before the same chunks."""
    return data(lambda held, body: raw(canonical_json({**asdict(HEADER), **changes})) + held[body:])


def raw(header: bytes) -> bytes:
    return b"VSAR1" + struct.pack(">I", len(header)) + header


def spelled_otherwise(held: bytes, body: int) -> bytes:
    return raw(json.dumps(asdict(HEADER), indent=1).encode()) + held[body:]


def another_key(artifact: Sealed) -> None:
    artifact.key = bytes(32)


FORGED, DIFFERS, INVALID = "artifact.forged", "artifact.length_differs", "artifact.header_invalid"
BYTES = {
    "first chunk altered": (bit(lambda artifact: artifact.body), FORGED, AEAD),
    "last byte altered": (bit(lambda _: -1), FORGED, AEAD),
    "chunks swapped": (chunks(1, 0, 2), FORGED, AEAD),
    "a chunk repeated": (chunks(0, 0, 2), FORGED, AEAD),
    "cut by a chunk, header told": (data(cut_and_told), FORGED, AEAD),
    "another key": (another_key, FORGED, AEAD),
    "magic altered": (bit(lambda _: 0), "artifact.not_sealed", MAGIC),
    "empty": (data(lambda *_: b""), DIFFERS, THERE),
    "cut by a byte": (data(lambda held, _: held[:-1]), DIFFERS, LENGTH),
    "cut by a chunk": (chunks(0, 1), DIFFERS, LENGTH),
    "extended by a byte": (data(lambda held, _: held + b"x"), DIFFERS, LENGTH),
    "extended by a chunk": (chunks(0, 1, 2, 2), DIFFERS, LENGTH),
    "another run's": (other_header(run="r-7f3m"), FORGED, BINDING),
    "another grant's": (other_header(grant="g-91ad"), FORGED, BINDING),
    "another agreement's": (other_header(agreement="dsa-2026-0002"), FORGED, BINDING),
    "another path": (other_header(path="model-1000.safetensors"), FORGED, BINDING),
    "another step": (other_header(step=501), FORGED, BINDING),
    "another media type": (other_header(media_type=JSON), FORGED, BINDING),
    "another wrapped key": (other_header(wrapped_key="vault:v2:AAAA"), FORGED, BINDING),
}
HEADERS = {
    "path traversal": (impossible(path="../model.safetensors"), PATH),
    "absolute path": (impossible(path="/model.safetensors"), PATH),
    "hidden path": (impossible(path=".model"), PATH),
    "a pickle": (impossible(media_type="application/x-pickle"), MEDIA_TYPE),
    "chunk size": (impossible(chunk_bytes=16), CHUNK_SIZE),
    "newer format": (impossible(format="sealed-artifact/2"), FORMAT),
    "negative length": (impossible(length=-1), LENGTH_SIGN),
    "negative step": (impossible(step=-1), STEP_SIGN),
    "run is none": (impossible(run="7f3k"), RUN),
    "grant is none": (impossible(grant="r-7f3k"), GRANT),
    "agreement is a path": (impossible(agreement="../x"), AGREEMENT),
    "key in clear": (impossible(wrapped_key="AAAA"), WRAPPED),
    "step is a boolean": (impossible(step=True), TYPES),
    "length is a boolean": (impossible(length=True), TYPES),
    "path is a number": (impossible(path=3), TYPES),
    "spelled otherwise": (data(spelled_otherwise), CANONICAL),
    "enormous": (data(lambda *_: b"VSAR1" + struct.pack(">I", 1 << 30)), HEADER_SIZE),
}

CASES = [
    *(Case("artifact", name, sealed, damage, unseal, *rest) for name, (damage, *rest) in BYTES.items()),
    *(
        Case("artifact", f"header: {name}", sealed, damage, admit, INVALID, gone)
        for name, (damage, gone) in HEADERS.items()
    ),
]
