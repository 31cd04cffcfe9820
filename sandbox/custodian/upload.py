"""A seal request as it comes in: a tar stream of ``request.json``, then ``NNNNNN.json`` and ``NNNNNN.audio`` in pairs.

Read once, piece by piece; nothing is written anywhere. Only plain ustar headers are understood: an extended header
could ask for any amount of memory.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sandbox.errors import Usage

MAX_JSON_BYTES = 1 << 20
MAX_AUDIO_BYTES = 256 << 20
_BLOCK = 512
_NAME = re.compile(r"([0-9]{6,9})\.(json|audio)")


@dataclass(frozen=True)
class Upload:
    """One recording: what was said of it, and its file's bytes."""

    number: int
    facts: dict[str, Any] = field(repr=False)
    audio: bytes = field(repr=False)


class UploadReader:
    """The request first (``request``), then the recordings (``uploads``), from pieces of any size."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._stream = _Stream(pieces)
        first = self._next()
        if first is None or first[0] != "request.json":
            raise Usage("the upload does not begin with request.json", code="upload.invalid")
        self.request = _object(first[1], "request.json")

    def uploads(self) -> Iterator[Upload]:
        """Raises Usage when the stream is cut short, out of order, or holds anything else."""
        while (described := self._next()) is not None:
            number = _number(described[0], "json")
            recording = self._next()
            if recording is None or _number(recording[0], "audio") != number:
                raise Usage(f"recording {number} came without its audio", code="upload.invalid")
            yield Upload(number, _object(described[1], described[0]), recording[1])

    def _next(self) -> tuple[str, bytes] | None:
        """The next member; None at the archive's end mark, without which the upload is not whole."""
        header = self._stream.read(_BLOCK)
        if header == bytes(_BLOCK):
            return None
        try:
            info = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeError):
            raise Usage("the upload is not a plain tar stream", code="upload.invalid") from None
        limit = MAX_AUDIO_BYTES if info.name.endswith(".audio") else MAX_JSON_BYTES
        if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or not 0 <= info.size <= limit:
            raise Usage("the upload holds a member of another kind or size", code="upload.invalid")
        body = self._stream.read(info.size)
        self._stream.read(-info.size % _BLOCK)
        return info.name, body


class _Stream:
    """Exact reads over pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = bytearray()

    def read(self, size: int) -> bytes:
        while len(self._held) < size:
            piece = next(self._pieces, None)
            if piece is None:
                raise Usage(
                    "the upload ended early; nothing was sealed",
                    code="upload.truncated",
                    mend="send it again",
                )
            self._held += piece
        data = bytes(self._held[:size])
        del self._held[:size]
        return data


def _number(name: str, kind: str) -> int:
    match = _NAME.fullmatch(name)
    if match is None or match[2] != kind:
        raise Usage("the upload's members are out of order", code="upload.invalid")
    return int(match[1])


def _object(data: bytes, name: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Usage(f"{name} is no JSON object", code="upload.invalid")
    return value
