"""Speech in memory: decode within bounds, encode as FLAC. Nothing is written anywhere.

FLAC is lossless; integer samples of 16 bits stay 16 bits, everything finer is kept at 24.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray

from sandbox.errors import SealBroken

MAX_SECONDS = 60.0
RATES = range(8_000, 96_001)
PCM_16 = "PCM_16"
PCM_24 = "PCM_24"


@dataclass(frozen=True)
class Audio:
    """Mono speech: ``samples`` float32 ``[T]`` in [-1, 1] at ``sample_rate`` Hz."""

    samples: NDArray[np.float32]
    sample_rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate


def encode_flac(audio: Audio, subtype: str = PCM_16) -> bytes:
    """Mono FLAC; the same samples come back from :func:`decode_flac` when they have ``subtype``'s precision."""
    target = io.BytesIO()
    soundfile.write(target, audio.samples, audio.sample_rate, format="FLAC", subtype=subtype)
    return target.getvalue()


def decode_flac(flac: bytes, samples: int, sample_rate: int) -> Audio:
    """Decode a record's audio; what its FLAC says of itself is compared with the index before a sample is read.

    Raises:
        SealBroken: no FLAC, not mono, or of another length or rate than the index says.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(flac)) as file:
            said = (file.format, file.channels, file.samplerate, file.frames)
            if said != ("FLAC", 1, sample_rate, samples):
                raise SealBroken("a record's audio is not what its index row says", code="audio.differs")
            data = file.read(samples, dtype="float32", always_2d=False)
    except (soundfile.SoundFileError, RuntimeError, ValueError):
        raise SealBroken("a record's audio cannot be decoded", code="audio.broken") from None
    if data.shape != (samples,):
        raise SealBroken("a record's audio ends early", code="audio.broken")
    return Audio(data, sample_rate)
