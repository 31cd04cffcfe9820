"""Speech goes to FLAC and back without a loss, and a lie about it is noticed."""

import io

import numpy as np
import pytest
import soundfile

from sandbox.errors import SealBroken
from sandbox.sealing.audio import PCM_24, Audio, decode_flac, encode_flac


def tone(samples=1600, levels=1 << 15):
    wave = np.sin(np.arange(samples) / 7) * 0.5
    return Audio((np.round(wave * levels) / levels).astype(np.float32), 16_000)


@pytest.mark.parametrize(("levels", "subtype"), [(1 << 15, "PCM_16"), (1 << 23, PCM_24)])
def test_flac_loses_nothing(levels, subtype):
    audio = tone(levels=levels)
    back = decode_flac(encode_flac(audio, subtype), 1600, 16_000)
    assert np.array_equal(back.samples, audio.samples)
    assert back.seconds == 0.1


def stereo():
    target = io.BytesIO()
    soundfile.write(target, np.zeros((1600, 2)), 16_000, format="FLAC")
    return target.getvalue()


def wav():
    target = io.BytesIO()
    soundfile.write(target, np.zeros(1600), 16_000, format="WAV")
    return target.getvalue()


FLAC = encode_flac(tone())
WRONG = {
    "more samples than the index says": (FLAC, 1599, 16_000),
    "fewer samples than the index says": (FLAC, 1601, 16_000),
    "another rate": (FLAC, 1600, 22_050),
    "stereo": (stereo(), 1600, 16_000),
    "not FLAC": (wav(), 1600, 16_000),
    "cut": (FLAC[: len(FLAC) // 2], 1600, 16_000),
    "empty": (b"", 1600, 16_000),
    "noise": (b"noise" * 100, 1600, 16_000),
}


@pytest.mark.parametrize(("flac", "samples", "rate"), WRONG.values(), ids=WRONG)
def test_audio_that_is_not_what_its_row_says_is_refused(flac, samples, rate):
    with pytest.raises(SealBroken):
        decode_flac(flac, samples, rate)
