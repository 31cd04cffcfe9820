"""Pitch and energy: right where they are known, in step with the spectrogram, the same whoever is beside."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sandbox.training.pitch import PITCH_MEAN, PITCH_SCALE, energy, pitch, scaled_pitch
from sandbox.training.sound import SAMPLE_RATE, log_mel
from tests.training.real import numbers


def voice(hz: float, seconds: float = 1.0) -> Tensor:
    t = torch.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return 0.3 * torch.stack([torch.sin(2 * torch.pi * hz * k * t) / k for k in range(1, 6)]).sum(0)


@pytest.mark.parametrize("hz", [70, 110, 171.3, 260, 440])
def test_a_tone_has_its_pitch(hz: float) -> None:
    found = pitch(voice(hz))[4:-4]
    assert found == pytest.approx(torch.full_like(found, hz), rel=0.005)


@pytest.mark.parametrize(
    "sound", [torch.zeros(8000), 0.1 * torch.randn(8000, generator=torch.manual_seed(1))]
)
def test_silence_and_noise_have_none(sound: Tensor) -> None:
    assert float((pitch(sound) > 0).float().mean()) < 0.02


@pytest.mark.parametrize("samples", [600, 8000, 8191, 8192, 8193])
def test_there_is_a_value_for_every_frame(samples: int) -> None:
    sound = voice(200)[:samples]
    assert len(pitch(sound)) == len(energy(sound)) == len(log_mel(sound))


def test_a_woman_who_counts_speaks_where_women_do() -> None:
    found = torch.cat(
        [pitch(torch.from_numpy(np.frombuffer(u["audio"], "<f4").copy())) for u in numbers()[:10]]
    )
    spoken = found[found > 0]
    assert 0.3 < len(spoken) / len(found) < 0.9 and 150 < float(spoken.median()) < 250


def test_the_scale_is_a_public_constant_and_no_pitch_stays_zero() -> None:
    assert scaled_pitch(torch.tensor([0.0, PITCH_MEAN, PITCH_MEAN + PITCH_SCALE])).tolist() == [0.0, 0.0, 1.0]


def test_energy_grows_with_loudness() -> None:
    assert energy(2 * voice(200))[5] == pytest.approx(2 * float(energy(voice(200))[5]), rel=1e-4)
