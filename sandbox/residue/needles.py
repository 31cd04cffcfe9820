"""The byte strings that a sound or a text turns into, in every form in which it gets about.

Of each form several windows are taken: a database keeps a long value on pages that need not follow each other.
MessagePack, CBOR and protobuf hold text as UTF-8 and sound as it is; SQLite does both.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import soundfile
from numpy.typing import NDArray

WINDOWS = 6
SAMPLES = 24  # a window: by chance two recordings do not share so many loud ones
LETTERS = 16  # a window of a text; shorter texts ("seven") stand in source code and documentation too
LEAST = 8  # bytes: a shorter needle is found anywhere


@dataclass(frozen=True)
class Needle:
    """Bytes that may not be found, what they are of, and in which form."""

    of: str
    form: str
    data: bytes = field(repr=False)


def of_sound(name: str, pcm: NDArray[np.int16], rate: int) -> list[Needle]:
    """16-bit mono ``[T]``: integer and float samples of the usual widths, FLAC as we write it, base64.

    Of silence nothing is taken: it stands everywhere.
    """
    found = []
    for window in _loud(pcm):
        for form, data in _samples(window):
            found.append(Needle(name, form, data))
            if form in ("int16", "float32"):
                found += _base64(name, form, data)
    stream = _flac(pcm, rate)
    for start in _spread(len(stream) - len(stream) // 4, 48):
        found.append(Needle(name, "FLAC", stream[len(stream) // 4 + start :][:48]))
    return found


def of_text(name: str, text: str, windows: int = WINDOWS) -> list[Needle]:
    """UTF-8, UTF-16 and UTF-32, JSON's escapes, base64, percent signs, hexadecimal; short texts give nothing.

    With one window the whole text must stand there.
    """
    found = []
    letters = LETTERS if windows > 1 else len(text)
    for start in _spread(len(text), letters, windows):
        piece = text[start : start + letters]
        for form, data in _writings(piece):
            found.append(Needle(name, form, data))
        found += _base64(name, "UTF-8", piece.encode())
    return list(dict.fromkeys(found)) if len(text) >= LETTERS else []


def _samples(window: NDArray[np.int16]) -> Iterator[tuple[str, bytes]]:
    scaled = window.astype(np.float32) / 32768
    yield "int16", window.astype("<i2").tobytes()
    yield "int16, big-endian", window.astype(">i2").tobytes()
    yield "int24", (window.astype(np.int32) << 8).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    yield "int32", (window.astype(np.int32) << 16).astype("<i4").tobytes()
    yield "float32", scaled.astype("<f4").tobytes()
    yield "float64", scaled.astype("<f8").tobytes()
    yield "float32 of integers", window.astype("<f4").tobytes()


def _writings(piece: str) -> Iterator[tuple[str, bytes]]:
    from urllib.parse import quote

    yield "UTF-8", piece.encode()
    yield "UTF-16", piece.encode("utf-16-le")
    yield "UTF-16, big-endian", piece.encode("utf-16-be")
    yield "UTF-32", piece.encode("utf-32-le")
    yield "JSON", json.dumps(piece)[1:-1].encode()
    yield "percent signs", quote(piece).encode()
    yield "hexadecimal", piece.encode().hex().encode()


def _base64(name: str, form: str, data: bytes) -> list[Needle]:
    """As it looks at each of the three places where it may begin, without the letters that its neighbours share."""
    found = []
    for shift in range(3):
        whole = base64.b64encode(bytes(shift) + data + bytes(-(shift + len(data)) % 3))
        end = (shift + len(data)) // 3 * 4
        found.append(Needle(name, f"base64 of {form}", whole[4 if shift else 0 : end]))
    return [needle for needle in found if len(needle.data) >= LEAST]


def _flac(pcm: NDArray[np.int16], rate: int) -> bytes:
    target = io.BytesIO()
    soundfile.write(target, pcm, rate, format="FLAC", subtype="PCM_16")
    return target.getvalue()


def _loud(pcm: NDArray[np.int16]) -> Iterator[NDArray[np.int16]]:
    """The window about the loudest sample of each of ``WINDOWS`` parts, where it is no silence and no square wave."""
    for part in np.array_split(pcm, WINDOWS):
        if len(part) >= SAMPLES:
            middle = int(np.argmax(np.abs(part.astype(np.int32))))
            start = max(0, min(middle - SAMPLES // 2, len(part) - SAMPLES))
            window = part[start : start + SAMPLES]
            if len(np.unique(window)) > SAMPLES // 2:
                yield window


def _spread(length: int, window: int, windows: int = WINDOWS) -> list[int]:
    """Where ``windows`` windows begin, evenly over ``length``; one where there is room for no more."""
    last = max(0, length - window)
    return sorted({last * n // max(1, windows - 1) for n in range(windows)})
