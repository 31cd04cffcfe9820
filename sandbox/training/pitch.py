"""Fundamental frequency and energy of a sound, in memory and in torch alone; no cache, no statistics of a corpus.

Both are scaled by public constants: a mean that was fitted to the speakers would be a release of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sandbox.training.sound import HOP, SAMPLE_RATE, WINDOW

LOWEST, HIGHEST = 65.0, 500.0  # Hz: from a deep voice to a child's
THRESHOLD = 0.15  # of the normalised difference; above it a frame has no pitch
QUIET = 1e-3  # root mean square below which a frame is silence
PITCH_MEAN, PITCH_SCALE = 170.0, 50.0  # Hz
ENERGY_SCALE = 30.0  # magnitude; loud speech lies at 50 to 100


def pitch(audio: Tensor) -> Tensor:
    """Hz in each frame of :func:`~sandbox.training.sound.log_mel`, 0 where there is none. audio [T] -> [1 + T // HOP]

    De Cheveigné, Kawahara 2002, "YIN, a fundamental frequency estimator", steps 2 to 5.
    """
    longest = int(SAMPLE_RATE / LOWEST)
    shortest = int(SAMPLE_RATE / HIGHEST)
    frames = torch.nn.functional.pad(audio, (WINDOW // 2, WINDOW // 2)).unfold(0, WINDOW, HOP)  # [F, WINDOW]
    kept = WINDOW - longest - 1  # samples compared at every lag
    spectrum = torch.fft.rfft(frames, 2 * WINDOW)
    head = torch.fft.rfft(frames[:, :kept], 2 * WINDOW)
    product = torch.fft.irfft(spectrum * head.conj(), 2 * WINDOW)[:, : longest + 2]  # [F, lags]
    power = frames.square().cumsum(1)
    power = torch.nn.functional.pad(power, (1, 0))
    energy = power[:, kept : kept + longest + 2] - power[:, : longest + 2]
    difference = (energy[:, :1] + energy - 2 * product).clamp(min=0)[:, : longest + 1]  # [F, longest + 1]
    lags = torch.arange(1, longest + 1)
    mean = difference[:, 1:].cumsum(1) / lags
    normal = (difference[:, 1:] / mean.clamp(min=1e-8))[:, shortest - 1 :]  # lags shortest..longest
    dips = (
        (normal[:, 1:-1] <= normal[:, :-2])
        & (normal[:, 1:-1] <= normal[:, 2:])
        & (normal[:, 1:-1] < THRESHOLD)
    )
    place = dips.int().argmax(1) + 1
    left, middle, right = (normal.gather(1, (place + d)[:, None]).squeeze(1) for d in (-1, 0, 1))
    bend = left - 2 * middle + right
    shift = torch.where(bend > 1e-8, 0.5 * (left - right) / bend.clamp(min=1e-8), torch.zeros_like(bend))
    voiced = dips.any(1) & (frames.square().mean(1).sqrt() > QUIET)
    return torch.where(voiced, SAMPLE_RATE / (place + shift + shortest), torch.zeros_like(bend))


def scaled_pitch(hz: Tensor) -> Tensor:
    """What models read: about -2 to 2, and 0 where there is no pitch."""
    return torch.where(hz > 0, (hz - PITCH_MEAN) / PITCH_SCALE, torch.zeros_like(hz))


def energy(audio: Tensor) -> Tensor:
    """Norm of each frame's magnitudes over a public constant. audio [T] -> [1 + T // HOP]. FastSpeech 2, 2.3."""
    window = torch.hann_window(WINDOW)
    magnitude = torch.stft(audio, WINDOW, HOP, window=window, return_complex=True).abs()
    return magnitude.norm(dim=0) / ENERGY_SCALE
