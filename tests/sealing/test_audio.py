"""Speech goes to FLAC and back without a loss, and a lie about it is noticed."""

import numpy as np
import pytest

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


def test_audio_that_is_cut_is_refused():
    flac = encode_flac(tone())
    with pytest.raises(SealBroken):
        decode_flac(flac[: len(flac) // 2], 1600, 16_000)
