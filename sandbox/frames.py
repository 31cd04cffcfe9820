"""The messages at the doors: their alphabets, sizes and order.

A frame is ``u32 length | u8 kind | msgpack [n, {field: value}]``, big-endian; ``length`` counts kind and payload and is
checked before a byte of them is read. Two alphabets share the codec: the *door* between keeper and gate, and the *pipe*
between keeper and trainer. Whatever is unknown (kind, field, type) is a :class:`FrameError`, and the door closes.

Numbers: a sender numbers its frames 1, 2, 3, ...; ``hello`` and answers carry the number they speak of (``ack`` 7 says
that frame 7 and all before it are stored).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgpack

from sandbox.errors import FrameError

EVENT_LIMIT = 64 << 10
PIECE_BYTES = 1 << 20
PIECE_LIMIT = PIECE_BYTES + (64 << 10)
PIPE_LIMIT = 256 << 20  # one utterance or one tensor: inside the container, between two processes of ours
_HEAD = struct.Struct(">IB")

Fields = Mapping[str, type | tuple[type, ...]]
NUMBER = (int, float)


@dataclass(frozen=True)
class Frame:
    """One message: its kind, its number, its fields."""

    kind: str
    n: int = 0
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Word:
    """One kind of message: its code, its fields, its limit in bytes."""

    code: int
    fields: Fields
    limit: int = EVENT_LIMIT


@dataclass(frozen=True)
class Alphabet:
    """Who says what to whom."""

    words: Mapping[str, Word]

    def word(self, kind: str) -> Word:
        try:
            return self.words[kind]
        except KeyError:
            raise FrameError(f"no such message: {kind[:32]!r}") from None

    def named(self, code: int) -> tuple[str, Word]:
        for kind, word in self.words.items():
            if word.code == code:
                return kind, word
        raise FrameError(f"no such message: code {code}")


KEEPER_TO_GATE = Alphabet(
    {
        "hello": Word(1, {"run": str, "grant": str, "seen": int}),
        "unlocked": Word(2, {"subjects": int, "seconds": float}),
        "metric": Word(3, {"name": str, "step": int, "value": float}),
        "progress": Word(4, {"step": int, "total": int, "rate": float}),
        "artifact": Word(5, {"path": str, "step": int, "media_type": str, "size": int, "sha256": str}),
        "piece": Word(6, {"path": str, "offset": int, "data": bytes}, PIECE_LIMIT),
        "end": Word(7, {}),
        "failed": Word(8, {"code": str}),
        "done": Word(9, {}),
        "text": Word(10, {"line": str}),
    }
)
GATE_TO_KEEPER = Alphabet(
    {
        "go": Word(1, {}),
        "ack": Word(2, {}),
        "stop": Word(3, {"reason": str}),
    }
)
KEEPER_TO_TRAINER = Alphabet(
    {
        # torch: whether to import it now; imports happen before any key exists, the recipe's only after "go".
        "prepare": Word(1, {"torch": bool, "threads": int}),
        # grant: the part of it that training needs; records: what exists, without any audio.
        "job": Word(
            2,
            {
                "purpose": str,
                "kind": str,
                "parameters": dict,
                "privacy": (dict, type(None)),
                "metrics": list,
                "artifacts": list,
                "inputs": list,
                "records": list,
            },
            PIPE_LIMIT,
        ),
        "go": Word(3, {}),
        # audio: float32, little-endian, mono, [T]
        "utterance": Word(
            4,
            {"record": str, "subject": str, "language": str, "text": str, "sample_rate": int, "audio": bytes},
            PIPE_LIMIT,
        ),
        # tensors: [{name, dtype, shape, data}]; last says that the input is complete
        "input": Word(5, {"path": str, "media_type": str, "data": bytes, "last": bool}, PIPE_LIMIT),
        "ack": Word(6, {}),
        "stop": Word(7, {"reason": str}),
    }
)
TRAINER_TO_KEEPER = Alphabet(
    {
        "ready": Word(1, {}),
        "want": Word(2, {"records": list}, PIPE_LIMIT),
        "ask": Word(3, {"path": str}),
        "metric": Word(4, {"name": str, "step": int, "value": float}),
        "progress": Word(5, {"step": int, "total": int, "rate": float}),
        # an artifact opens with "artifact", goes on with one "tensor" each (or one "bytes"), closes with "sealed"
        "artifact": Word(6, {"path": str, "step": int, "media_type": str, "metadata": dict}),
        "tensor": Word(7, {"path": str, "name": str, "dtype": str, "shape": list, "data": bytes}, PIPE_LIMIT),
        "sound": Word(8, {"path": str, "sample_rate": int, "audio": bytes}, PIPE_LIMIT),
        "report": Word(9, {"path": str, "data": bytes}, PIPE_LIMIT),
        "close": Word(10, {"path": str}),
        "end": Word(11, {}),
        "failed": Word(12, {"code": str}),
        "text": Word(13, {"line": str}),
    }
)


def encode(alphabet: Alphabet, frame: Frame) -> bytes:
    """The bytes of one frame.

    Raises:
        FrameError: unknown kind or field, wrong type, or too large.
    """
    word = alphabet.word(frame.kind)
    _check(frame.kind, word, frame.n, frame.body)
    payload = msgpack.packb([frame.n, dict(frame.body)], use_bin_type=True)
    if len(payload) + 1 > word.limit:
        raise FrameError(f"{frame.kind}: {len(payload) + 1} bytes, at most {word.limit}")
    return _HEAD.pack(len(payload) + 1, word.code) + bytes(payload)


class Decoder:
    """Bytes in, frames out. Keeps no more than one frame's limit of unread bytes beyond what was fed."""

    def __init__(self, alphabet: Alphabet) -> None:
        self._alphabet = alphabet
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Every frame completed by ``data``, in order.

        Raises:
            FrameError: a length over the kind's limit (before its bytes are read), or anything unknown.
        """
        self._pending += data
        frames: list[Frame] = []
        start = 0
        while len(self._pending) - start >= _HEAD.size:
            length, code = _HEAD.unpack_from(self._pending, start)
            kind, word = self._alphabet.named(code)
            if not 1 <= length <= word.limit:
                raise FrameError(f"{kind}: {length} bytes announced, at most {word.limit}")
            end = start + _HEAD.size + length - 1
            if len(self._pending) < end:
                break
            with memoryview(self._pending) as whole, whole[start + _HEAD.size : end] as payload:
                frames.append(_parse(kind, word, payload))
            start = end
        del self._pending[:start]
        return frames

    @property
    def idle(self) -> bool:
        """Whether the stream stands between two frames: an end of stream elsewhere is a torn frame."""
        return not self._pending


def _parse(kind: str, word: Word, payload: memoryview) -> Frame:
    try:
        value = msgpack.unpackb(payload, raw=False, strict_map_key=True, max_ext_len=0)
        n, body = value
    except Exception:  # noqa: BLE001 - msgpack raises many things on hostile bytes
        raise FrameError(f"{kind}: malformed") from None
    if not isinstance(body, dict):
        raise FrameError(f"{kind}: malformed")
    _check(kind, word, n, body)
    return Frame(kind, n, body)


def _check(kind: str, word: Word, n: object, body: Mapping[str, Any]) -> None:
    if type(n) is not int or not 0 <= n < 1 << 53:
        raise FrameError(f"{kind}: its number is no count")
    if set(body) != set(word.fields):
        raise FrameError(f"{kind}: its fields are {sorted(map(str, body))}, expected {sorted(word.fields)}")
    for name, expected in word.fields.items():
        value = body[name]
        if expected is float:
            if type(value) not in NUMBER or not math.isfinite(value):
                raise FrameError(f"{kind}.{name}: not a finite number")
        elif expected is int:
            if type(value) is not int or not 0 <= value < 1 << 53:
                raise FrameError(f"{kind}.{name}: not a count")
        elif not isinstance(value, expected):
            raise FrameError(f"{kind}.{name}: wrong type")
