"""The audio inside a valid record: what its FLAC says of itself against what the signed index says."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from sandbox.sealing.audio import decode_flac
from tests.mutations.case import Case
from tests.mutations.removal import check

SAMPLES, RATE = 1600, 16_000
SAID = check(
    "the FLAC says what the index says",
    "sealing.audio:decode_flac",
    'if said != ("FLAC", 1, sample_rate, samples):',
)
BROKEN = check(
    "a fault of the decoder is named",
    "sealing.audio:decode_flac",
    "except (soundfile.SoundFileError, RuntimeError, ValueError):",
    "except ZeroDivisionError:",
)


def encoded(form: str = "FLAC", channels: int = 1, rate: int = RATE, samples: int = SAMPLES) -> bytes:
    target = io.BytesIO()
    soundfile.write(target, np.zeros((samples, channels)), rate, format=form, subtype="PCM_16")
    return target.getvalue()


@dataclass
class Speech:
    """A record's audio; the index says 1600 samples at 16 kHz."""

    flac: bytes = field(default_factory=encoded)


def speech(_: Path) -> Speech:
    return Speech()


def decode(speech: Speech) -> object:
    return decode_flac(speech.flac, SAMPLES, RATE)


def replaced(flac: bytes):
    def damage(speech: Speech) -> None:
        speech.flac = flac

    return damage


AUDIO = {
    "oversized": (encoded(samples=10 * SAMPLES), "audio.differs", SAID),
    "shorter than said": (encoded(samples=SAMPLES - 1), "audio.differs", SAID),
    "another rate": (encoded(rate=22_050), "audio.differs", SAID),
    "stereo": (encoded(channels=2), "audio.differs", SAID),
    "no FLAC": (encoded("WAV"), "audio.differs", SAID),
    "noise": (b"noise" * 100, "audio.broken", BROKEN),
    "empty": (b"", "audio.broken", BROKEN),
}

CASES = [
    Case("record", f"audio inside: {name}", speech, replaced(flac), decode, code, gone)
    for name, (flac, code, gone) in AUDIO.items()
]
