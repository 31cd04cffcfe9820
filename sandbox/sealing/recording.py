"""One recording as it was given: decoded in memory and judged. What is not fit for sealing is named, never mended.

The custodian judges and decides; a dry run asks the same questions at home.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field

import numpy as np
import soundfile
from numpy.typing import NDArray

from sandbox.sealing.audio import MAX_SECONDS, PCM_16, PCM_24, RATES, Audio

MIN_SECONDS = 0.05
FORMATS = frozenset({"WAV", "WAVEX", "RF64", "W64", "FLAC", "AIFF", "OGG", "MP3", "NIST"})
COARSE = frozenset({"PCM_S8", "PCM_U8", "ULAW", "ALAW", "DWVW_12", "DPCM_8"})  # 8 bits a sample or fewer


@dataclass(frozen=True)
class Fault:
    """Why a recording was set aside: a stable code and a sentence, without its content."""

    code: str
    why: str


@dataclass(frozen=True)
class Decoded:
    """Mono speech, the FLAC precision that loses nothing of it, and how many channels it was given in."""

    audio: Audio = field(repr=False)
    subtype: str
    channels: int


def decode(data: bytes, *, downmix: bool = False, max_seconds: float = MAX_SECONDS) -> Decoded | Fault:
    """Header first, then bounds, then samples: an hour that claims to be a second is never decoded whole."""
    if not data:
        return Fault("audio.empty", "the file is empty")
    if _cut(data):
        return Fault("audio.truncated", "the file ends before its header says")
    try:
        with soundfile.SoundFile(_Bytes(data)) as file:
            fault = _fault(file, downmix, max_seconds)
            if fault is not None:
                return fault
            frames = int(max_seconds * file.samplerate) + 1
            samples = file.read(frames, dtype="float32", always_2d=True)  # [T, channels]
            said, rate, fine = file.frames, file.samplerate, file.subtype != PCM_16
    except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError):
        return Fault("audio.unreadable", "this is not audio that can be decoded")
    if len(samples) < said:
        return Fault("audio.truncated", "the file ends before its header says")
    return _mono(samples, rate, fine)


class _Bytes(io.BytesIO):
    """A damaged file sends libsndfile to places before its start: that is an answer, no traceback on a terminal."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


def _fault(file: soundfile.SoundFile, downmix: bool, max_seconds: float) -> Fault | None:
    """What the header alone tells."""
    if file.format not in FORMATS:
        return Fault("audio.format", f"{file.format} is not among the formats taken")
    if file.subtype in COARSE:
        return Fault("audio.coarse", "8 bits a sample are too few for synthesis")
    if file.channels != 1 and not (downmix and file.channels == 2):
        return Fault("audio.channels", f"{file.channels} channels; mono is needed")
    if file.samplerate not in RATES:
        return Fault("audio.rate", f"{file.samplerate} Hz is outside {RATES.start} to {RATES.stop - 1} Hz")
    if file.frames <= 0:
        return Fault("audio.empty", "the file holds no sample")
    seconds = file.frames / file.samplerate
    if seconds > max_seconds:
        return Fault("audio.too_long", f"longer than {max_seconds:g} s; cut it into utterances")
    if seconds < MIN_SECONDS:
        return Fault("audio.too_short", f"shorter than {MIN_SECONDS:g} s")
    return None


def _mono(samples: NDArray[np.float32], rate: int, fine: bool) -> Decoded | Fault:
    if not np.isfinite(samples).all():
        return Fault("audio.unreadable", "a sample is no number")
    channels = samples.shape[1]
    mono = samples.mean(axis=1) if channels == 2 else samples[:, 0]  # [T]
    if not mono.any():
        return Fault("audio.silent", "every sample is zero")
    return Decoded(Audio(mono, rate), PCM_24 if fine or channels == 2 else PCM_16, channels)


def _cut(data: bytes) -> bool:
    """Whether a RIFF file is shorter than its own chunks: libsndfile reads such a file without a word."""
    if data[:4] not in (b"RIFF", b"RIFX") or data[8:12] != b"WAVE":
        return False
    order = ">" if data[:4] == b"RIFX" else "<"
    at = 12
    while at + 8 <= len(data):
        name, (size,) = data[at : at + 4], struct.unpack_from(f"{order}I", data, at + 4)
        if name == b"data":
            # 0xFFFFFFFF: written by a program that could not seek back; its length is not known.
            return bool(size != 0xFFFFFFFF and at + 8 + size > len(data))
        at += 8 + size + size % 2
    return True
