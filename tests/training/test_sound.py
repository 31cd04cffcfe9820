from __future__ import annotations

import inspect
import math

import pytest
import torch
from torch import Tensor

from sandbox.training.sound import (
    FLOOR,
    HOP,
    MELS,
    SAMPLE_RATE,
    WINDOW,
    griffin_lim,
    log_mel,
    mel_filters,
    refined,
)


def tone(hz: float, seconds: float = 0.5) -> Tensor:
    t = torch.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return 0.5 * torch.sin(2 * math.pi * hz * t)


def loudest(sound: Tensor) -> float:
    """The frequency with the most energy, Hz."""
    spectrum = torch.fft.rfft(sound).abs()
    return float(spectrum.argmax()) * SAMPLE_RATE / len(sound)


@pytest.mark.parametrize("samples", [WINDOW // 2 + 1, WINDOW, 4000, HOP * 20, HOP * 20 + 1])
def test_a_spectrogram_has_a_frame_for_every_hop(samples: int) -> None:
    mel = log_mel(torch.randn(samples, generator=torch.Generator().manual_seed(1)))
    assert mel.shape == (1 + samples // HOP, MELS) and mel.dtype == torch.float32


def test_silence_is_the_floor() -> None:
    torch.testing.assert_close(log_mel(torch.zeros(4000)), torch.full((16, MELS), math.log(FLOOR)))


def test_filters_are_triangles_of_equal_area_that_leave_no_gap() -> None:
    filters = mel_filters()
    assert filters.shape == (MELS, WINDOW // 2 + 1)
    assert (filters >= 0).all() and (filters.sum(1) > 0).all()
    places = filters.argmax(1)
    assert (places[1:] >= places[:-1]).all()
    area = filters[40:].sum(1) * SAMPLE_RATE / WINDOW  # wide enough to be measured in bins
    torch.testing.assert_close(area, torch.ones_like(area), rtol=0.05, atol=0.0)


@pytest.mark.parametrize("hz", [220.0, 1000.0, 3000.0])
def test_a_tone_comes_back_as_itself(hz: float) -> None:
    sound = griffin_lim(log_mel(tone(hz)))
    assert loudest(sound) == pytest.approx(hz, rel=0.05)


def test_a_sound_comes_back_with_its_spectrogram() -> None:
    sweep = (
        tone(300) + 0.3 * tone(1700) + 0.01 * torch.randn(8000, generator=torch.Generator().manual_seed(1))
    )
    mel = log_mel(sweep)
    again = log_mel(griffin_lim(mel))
    heard = mel[: len(again)] > math.log(FLOOR) + 1
    assert float((again - mel[: len(again)])[heard].abs().mean()) < 0.35


def test_refinement_brings_a_sound_nearer_to_its_spectrogram() -> None:
    mel = log_mel(tone(300) + 0.3 * tone(1700))
    rough = griffin_lim(mel)
    fine = refined(rough, mel)
    assert fine.shape == rough.shape and not fine.requires_grad
    errors = [
        float((log_mel(sound)[: len(mel)] - mel[: 1 + len(sound) // HOP]).square().mean())
        for sound in (rough, fine)
    ]
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5])
def test_the_shortest_sounds_are_refined_or_left_alone(frames: int) -> None:
    mel = torch.full((frames, MELS), -2.0)
    sound = griffin_lim(mel, iterations=2)
    found = refined(sound, mel)
    assert found.shape == sound.shape and bool(found.isfinite().all())


def test_magnitudes_are_not_sharpened_unless_asked_for() -> None:
    mel = log_mel(tone(440))
    assert inspect.signature(griffin_lim).parameters["power"].default == 1.0
    plain = griffin_lim(mel, iterations=3)
    assert torch.equal(plain, griffin_lim(mel, iterations=3, power=1.0))
    assert not torch.equal(plain, griffin_lim(mel, iterations=3, power=1.5))


@pytest.mark.parametrize("frames", [2, 3, 5, 40])
def test_frames_become_hops_of_sound(frames: int) -> None:
    sound = griffin_lim(torch.full((frames, MELS), -2.0), iterations=2)
    assert sound.shape == ((frames - 1) * HOP,)
    assert bool(sound.isfinite().all())


def test_the_same_spectrogram_sounds_the_same_whatever_was_drawn_before() -> None:
    mel = log_mel(tone(440))
    torch.manual_seed(1)
    first, state = griffin_lim(mel, iterations=3), torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(griffin_lim(mel, iterations=3), first)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)
