"""One file decoded in memory to be measured, and the fault it would be set aside for.

The custodian judges again and alone decides; no program imports a service, so the questions stand here once more, and
tests hold both to the same answers.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import numpy as np
import soundfile

from sandbox.sealing.audio import MAX_SECONDS, RATES

MIN_SECONDS = 0.05
FORMATS = frozenset({"WAV", "WAVEX", "RF64", "W64", "FLAC", "AIFF", "OGG", "MP3", "NIST"})
COARSE = frozenset({"PCM_S8", "PCM_U8", "ULAW", "ALAW", "DWVW_12", "DPCM_8"})  # 8 bits a sample or fewer


@dataclass(frozen=True)
class Wishes:
    """What was asked of the sealing that bears on what is taken; ``max_seconds`` of one recording."""

    downmix: bool = False
    max_seconds: float = MAX_SECONDS


@dataclass(frozen=True)
class Measured:
    """A recording fit for sealing, as it lies in the folder: seconds, Hz, channels."""

    seconds: float
    sample_rate: int
    channels: int


def measure(data: bytes, wishes: Wishes) -> Measured | str:
    """What ``data`` is, or the code of its fault. Header first: no more than ``max_seconds`` are ever decoded."""
    if not data:
        return "audio.empty"
    if _cut(data):
        return "audio.truncated"
    try:
        with soundfile.SoundFile(_Bytes(data)) as file:
            found = Measured(file.frames / max(1, file.samplerate), file.samplerate, file.channels)
            if fault := _fault(file.format, file.subtype, found, wishes):
                return fault
            samples = file.read(
                int(wishes.max_seconds * file.samplerate) + 1, dtype="float32", always_2d=True
            )
            whole = len(samples) >= file.frames  # [T, channels]
    except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError):
        return "audio.unreadable"
    if not whole:
        return "audio.truncated"
    if not np.isfinite(samples).all():
        return "audio.unreadable"
    return found if samples.mean(axis=1).any() else "audio.silent"


class _Bytes(io.BytesIO):
    """A damaged file sends libsndfile to places before its start: that is an answer, no traceback on a terminal."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


def _fault(kind: str, subtype: str, found: Measured, wishes: Wishes) -> str:
    """What the header alone tells, in the custodian's order."""
    faults = {
        "audio.format": kind not in FORMATS,
        "audio.coarse": subtype in COARSE,
        "audio.channels": found.channels != 1 and not (wishes.downmix and found.channels == 2),
        "audio.rate": found.sample_rate not in RATES,
        "audio.empty": found.seconds <= 0,
        "audio.too_long": found.seconds > wishes.max_seconds,
        "audio.too_short": found.seconds < MIN_SECONDS,
    }
    return next((code for code, there in faults.items() if there), "")


def _cut(data: bytes) -> bool:
    """Whether a RIFF file is shorter than its own chunks: libsndfile reads such a file without a word."""
    if data[:4] not in (b"RIFF", b"RIFX") or data[8:12] != b"WAVE":
        return False
    order, at = (">" if data[:4] == b"RIFX" else "<"), 12
    while at + 8 <= len(data):
        name, (size,) = data[at : at + 4], struct.unpack_from(f"{order}I", data, at + 4)
        if name == b"data":
            # 0xFFFFFFFF: written by a program that could not seek back; its length is not known.
            return bool(size != 0xFFFFFFFF and at + 8 + size > len(data))
        at += 8 + size + size % 2
    return True
