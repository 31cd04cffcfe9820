"""Sound to log-mel spectrogram and back, in torch alone (librosa would compile for 15 s in every fresh container).

All numbers are public constants: none is fitted to a corpus, so none of them is a release.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

SAMPLE_RATE = 16_000  # Hz
WINDOW = 1024  # samples, also the size of the FFT
HOP = 256  # samples: 16 ms a frame
MELS = 80
FLOOR = 1.5e-3  # magnitude below which everything counts as silence: about 60 dB under loud speech
_SPREADINGS = 50  # steps from mel magnitudes to those of the bins
_REFINEMENTS = 200  # steps of Adam on the samples themselves
_REFINEMENT = 4e-3  # how far a sample moves in the first of them; less and less until the last
_LEAST_FRAMES = WINDOW // HOP  # half a window is mirrored at each end, and cannot be longer than the sound


@functools.cache
def mel_filters(mels: int = MELS, window: int = WINDOW) -> Tensor:
    """Triangles on the mel scale of Slaney's Auditory Toolbox, 0 to 8 kHz, area-normalised. [mels, window // 2 + 1]"""
    low, high = _hz_to_mel(0.0), _hz_to_mel(SAMPLE_RATE / 2)
    corners = torch.tensor([_mel_to_hz(low + (high - low) * i / (mels + 1)) for i in range(mels + 2)])
    bins = torch.linspace(0, SAMPLE_RATE / 2, window // 2 + 1)
    rising = (bins - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    falling = (corners[2:, None] - bins) / (corners[2:] - corners[1:-1])[:, None]
    return torch.minimum(rising, falling).clamp(min=0) * (2 / (corners[2:] - corners[:-2]))[:, None]


def log_mel(audio: Tensor) -> Tensor:
    """Natural log of mel magnitudes. audio [T] -> [1 + T // HOP, MELS]"""
    spectrum = torch.stft(audio, WINDOW, HOP, window=_window(), return_complex=True).abs()  # [bins, frames]
    return (mel_filters() @ spectrum).clamp(min=FLOOR).log().T


def griffin_lim(mel: Tensor, iterations: int = 60, power: float = 1.0) -> Tensor:
    """The sound whose log-mel is ``mel``: magnitudes that the filters map to it, then phases by fast Griffin-Lim.

    mel [frames, MELS] -> [(frames - 1) * HOP]. ``power`` sharpens magnitudes; 1.0 is understood best.
    Perraudin, Balazs, Soendergaard 2013, "A fast Griffin-Lim algorithm", momentum 0.99.
    """
    length = (len(mel) - 1) * HOP
    quiet = mel.new_full((max(0, _LEAST_FRAMES - len(mel)), MELS), math.log(FLOOR))
    mel = torch.cat([mel, quiet])
    magnitude = _magnitude(mel.T.exp()) ** power  # [bins, frames]
    generator = torch.Generator().manual_seed(0)
    angles = torch.polar(
        torch.ones_like(magnitude), 2 * math.pi * torch.rand(magnitude.shape, generator=generator)
    )
    previous = torch.zeros_like(angles)
    for _ in range(iterations):
        sound = torch.istft(magnitude * angles, WINDOW, HOP, window=_window())
        rebuilt = torch.stft(sound, WINDOW, HOP, window=_window(), return_complex=True)
        angles = rebuilt - previous * (0.99 / 1.99)
        angles = angles / angles.abs().clamp(min=1e-12)
        previous = rebuilt
    return torch.istft(magnitude * angles, WINDOW, HOP, window=_window())[:length]


def refined(sound: Tensor, mel: Tensor) -> Tensor:
    """``sound`` moved by gradient descent until its own log-mel is nearly ``mel``: consonants become distinct.

    Griffin-Lim reaches the magnitudes only as far as phases allow and counts every one alike; the ear, and a
    recogniser, count logarithms. sound [T], mel [frames, MELS] with T = (frames - 1) * HOP -> [T]
    """
    if len(mel) < _LEAST_FRAMES:
        return sound
    with torch.enable_grad():
        wanted = mel.detach().clone().clamp(min=math.log(FLOOR))
        samples = sound.detach().clone().requires_grad_()
        optimizer = torch.optim.Adam([samples], lr=_REFINEMENT)
        less = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=_REFINEMENTS)
        for _ in range(_REFINEMENTS):
            (samples.grad,) = torch.autograd.grad((log_mel(samples) - wanted).square().mean(), samples)
            optimizer.step()
            less.step()
    return samples.detach()


def aloud(mel: Tensor) -> Tensor:
    """The sound of ``mel`` by :func:`griffin_lim`, :func:`refined`, never beyond 1. [frames, MELS] -> [T]"""
    sound = refined(griffin_lim(mel), mel)
    return sound / sound.abs().max().clamp(min=1.0)


def _magnitude(mel: Tensor) -> Tensor:
    """Magnitudes, none negative, whose mel magnitudes are ``mel``; from the pseudo-inverse by multiplicative updates.

    mel [MELS, frames] -> [bins, frames]. Lee, Seung 2000, "Algorithms for non-negative matrix factorization".
    """
    filters = mel_filters()
    magnitude, wanted = (_inverse_filters() @ mel).clamp(min=1e-5), filters.T @ mel
    for _ in range(_SPREADINGS):
        magnitude = magnitude * wanted / (filters.T @ (filters @ magnitude) + 1e-8)
    return magnitude


@functools.cache
def _window() -> Tensor:
    return torch.hann_window(WINDOW)


@functools.cache
def _inverse_filters() -> Tensor:
    return torch.linalg.pinv(mel_filters())  # [bins, MELS]


def _hz_to_mel(hz: float) -> float:
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)


def _mel_to_hz(mel: float) -> float:
    return mel * 200 / 3 if mel < 15 else 1000 * math.exp((mel - 15) * math.log(6.4) / 27)
