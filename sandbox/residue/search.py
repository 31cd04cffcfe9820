"""All needles in one pass over bytes, however many they are, and inside FLAC and gzip.

1. The four bytes at each place are hashed and looked up in a table of a million: almost every place ends here.
2. Those of the places left are looked up among the needles' own.
3. What is still left is compared.
"""

from __future__ import annotations

import io
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from sandbox.residue.needles import Needle

FEW = 256  # places are looked at one by one sooner than they are sorted out together
PIECE = 16 << 20  # a FLAC or gzip stream that goes on beyond it is looked into as far as here
INSIDE_BYTES = 64 << 20  # of one compressed stream, after decompression
_BITS = 20
_HASH = np.uint32(2_654_435_761)  # multiplicative hashing; Knuth, TAOCP 3, 6.4
_FLAC, _GZIP = b"fLaC", b"\x1f\x8b\x08"


class Search:
    """Every needle at once. One of them that is shorter than four bytes is refused: it stands everywhere."""

    def __init__(self, needles: Iterable[Needle]) -> None:
        self._by_head: dict[int, list[tuple[int, Needle]]] = defaultdict(list)
        for needle in needles:
            at = _anchor(needle.data)
            self._by_head[int.from_bytes(needle.data[at : at + 4], "little")].append((at, needle))
        self.longest = max(len(needle.data) for found in self._by_head.values() for _, needle in found)
        self._heads = np.array(sorted(self._by_head), dtype="<u4")
        self._table = np.zeros(1 << _BITS, dtype=bool)
        self._table[_hashed(self._heads)] = True

    def stream(self, file: BinaryIO) -> tuple[set[Needle], int]:
        """What stands in the file, and how many bytes it has; memory is bounded."""
        found, total, kept = set[Needle](), 0, b""
        while piece := file.read(PIECE):
            total += len(piece)
            data = kept + piece
            found |= self.within(data)
            for inside in _inside(data):
                found |= self.within(inside)
            kept = data[-self.longest :]
        return found, total

    def within(self, data: bytes) -> set[Needle]:
        """What stands in these bytes as they are."""
        found = set[Needle]()
        for place in self._candidates(data):
            for at, needle in self._by_head.get(int.from_bytes(data[place : place + 4], "little"), ()):
                start = place - at
                if start >= 0 and data[start : start + len(needle.data)] == needle.data:
                    found.add(needle)
        return found

    def _candidates(self, data: bytes) -> Iterator[int]:
        for shift in range(min(4, len(data))):
            words = np.frombuffer(data, dtype="<u4", offset=shift, count=max(0, (len(data) - shift) // 4))
            near = np.flatnonzero(self._table[_hashed(words)])
            if len(near) > FEW:
                near = near[np.isin(words[near], self._heads)]
            yield from (4 * place + shift for place in near.tolist())


def _hashed(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return (words * _HASH) >> np.uint32(32 - _BITS)


def _anchor(data: bytes) -> int:
    """Where the four bytes begin that are least like what files are full of: zeros first, then the same byte again."""
    places = range(len(data) - 3)
    if not places:
        raise ValueError("a needle is shorter than four bytes")
    return max(places, key=lambda at: (-data[at : at + 4].count(0), len(set(data[at : at + 4]))))


def _inside(data: bytes) -> Iterator[bytes]:
    """What FLAC and gzip streams that begin here hold: 16-bit samples, bytes. Damaged ones as far as they go."""
    at = data.find(_FLAC)
    while at >= 0:
        yield _samples(data[at:])
        at = data.find(_FLAC, at + 4)
    at = data.find(_GZIP)
    while at >= 0:
        with suppress(zlib.error):
            yield zlib.decompressobj(wbits=31).decompress(data[at:], INSIDE_BYTES)
        at = data.find(_GZIP, at + 3)


def _samples(flac: bytes) -> bytes:
    try:
        with soundfile.SoundFile(io.BytesIO(flac)) as file:
            return bytes(file.read(INSIDE_BYTES // 2, dtype="int16").tobytes())
    except (soundfile.SoundFileError, RuntimeError, ValueError, MemoryError):
        return b""
