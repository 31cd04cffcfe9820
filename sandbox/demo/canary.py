"""A search for plaintext where only ciphertext may be: speech as samples or FLAC, transcripts, weights.

What is looked for is taken from the recordings themselves: windows of the loudest samples of each recording in the
forms in which audio gets about (16-bit and float32 PCM, the FLAC stream that sealing would make), and each transcript
long enough to mean something. A weight is looked for by the header that every safetensors file of ours begins with.
"""

from __future__ import annotations

import csv
import io
import mmap
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

WINDOW = 24  # samples: by chance two recordings do not share so many loud ones
MIN_TEXT = 16  # characters: shorter texts ("seven") stand in source code and documentation too
WEIGHT_MARK = b"".join([b'":{"dtype":"F32",', b'"shape":['])  # joined here: this file must not hold it itself


@dataclass(frozen=True)
class Needle:
    """Bytes that may not be found, and what they are."""

    what: str
    data: bytes


@dataclass(frozen=True)
class Finding:
    """A needle that was found."""

    what: str
    path: Path


def needles(folder: Path, every: int = 1) -> list[Needle]:
    """Needles of every ``every``-th recording of a folder with ``metadata.csv``, and of all its transcripts."""
    with open(folder / "metadata.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = [
        Needle(f"transcript of {row['file']}", row["text"].encode())
        for row in rows
        if len(row["text"]) >= MIN_TEXT
    ]
    for row in rows[::every]:
        found += sound_needles(row["file"], folder / row["file"])
    return found


def sound_needles(name: str, path: Path) -> list[Needle]:
    """One recording as 16-bit samples, as float32 samples, and as the body of its FLAC stream."""
    pcm, rate = soundfile.read(path, dtype="int16")
    middle = int(np.argmax(np.abs(pcm.astype(np.int32))))
    start = max(0, min(middle - WINDOW // 2, len(pcm) - WINDOW))
    window = pcm[start : start + WINDOW]
    encoded = io.BytesIO()
    soundfile.write(encoded, pcm, rate, format="FLAC", subtype="PCM_16")
    body = encoded.getvalue()
    return [
        Needle(f"samples of {name}", window.astype("<i2").tobytes()),
        Needle(f"float samples of {name}", (window.astype(np.float32) / 32768).astype("<f4").tobytes()),
        Needle(f"FLAC of {name}", body[len(body) // 2 : len(body) // 2 + 48]),
    ]


def search(
    places: Iterable[Path], wanted: Iterable[Needle], skip: Iterable[Path] = ()
) -> tuple[list[Finding], int]:
    """Every needle found in the regular files below ``places``, and how many bytes were read."""
    sought = list(wanted)
    findings: list[Finding] = []
    total = 0
    for path in files_below(places, skip):
        try:
            with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                total += len(data)
                findings += [Finding(needle.what, path) for needle in sought if data.find(needle.data) >= 0]
        except (ValueError, OSError):  # empty, or gone since it was listed
            continue
    return findings, total


def files_below(places: Iterable[Path], skip: Iterable[Path]) -> Iterator[Path]:
    """Regular files only; never through a symbolic link."""
    skipped = {path.resolve() for path in skip}
    for place in places:
        for parent, folders, names in os.walk(place):
            folders[:] = [name for name in folders if Path(parent, name).resolve() not in skipped]
            for name in names:
                path = Path(parent, name)
                try:
                    if stat.S_ISREG(path.lstat().st_mode):
                        yield path
                except OSError:
                    continue
