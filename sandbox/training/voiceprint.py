"""Whose voice is it? The GE2E encoder, with the weights that Resemblyzer publishes (Apache-2.0): 256 numbers a voice.

Wan et al. 2018, "Generalized end-to-end loss for speaker verification". Of the package only ``pretrained.pt`` is read:
the code here is its ``voice_encoder.py`` in torch alone, and nothing of it is imported. Its volume step is here; its
trimming of silence (webrtcvad) is not, so pauses count as sound.

A voiceprint is biometric: it identifies a person. It stays in the run; only how alike two of them are may leave.
"""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from sandbox.errors import RecipeError
from sandbox.training.sound import SAMPLE_RATE, mel_filters

SIZE = 256
WINDOW, HOP, MELS = 400, 160, 40  # 25 ms, 10 ms
PARTIAL = 160  # frames in one look of the encoder: 1.6 s
_STEP = round(SAMPLE_RATE / 1.3 / HOP)  # frames from one look to the next: 1.3 a second
_COVERED = 0.75  # of the last look that must be sound
_LOUDNESS = 10 ** (-30 / 20)  # root mean square that quiet speech is raised to


class Encoder(nn.Module):
    """Mel spectrograms [B, T, MELS] to unit vectors [B, SIZE], none of whose numbers is negative."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(MELS, SIZE, 3, batch_first=True)
        self.linear = nn.Linear(SIZE, SIZE)

    def forward(self, mels: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(mels)
        return unit(self.linear(hidden[-1]).relu())


@functools.cache
def encoder() -> Encoder:
    """The published encoder, read once; the worker does so before any key exists.

    Raises RecipeError when the weights are not installed.
    """
    package = importlib.util.find_spec("resemblyzer")
    if package is None or not package.submodule_search_locations:
        raise RecipeError("the voice encoder's weights are not installed", code="recipe.voiceprint")
    kept = torch.load(
        Path(package.submodule_search_locations[0]) / "pretrained.pt", map_location="cpu", weights_only=True
    )["model_state"]
    with torch.device("meta"):  # no first weights: they would draw from the generator that a recipe seeds
        model = Encoder()
    model.load_state_dict({name: kept[name] for name in model.state_dict()}, assign=True)
    return model.requires_grad_(False).eval()


def embed(audio: Tensor) -> Tensor:
    """The voice in ``audio`` [T] at 16 kHz: the unit mean of what 1.6 s looks at it give. [SIZE]"""
    with torch.no_grad():
        audio = audio.float()
        audio = audio * max(1.0, _LOUDNESS / max(float(audio.square().mean().sqrt()), 1e-8))
        starts = looks(len(audio))
        end = (starts[-1] + PARTIAL) * HOP
        mels = mel(nn.functional.pad(audio, (0, max(0, end - len(audio)))))
        return unit(encoder()(torch.stack([mels[s : s + PARTIAL] for s in starts])).mean(0))


def mean(voices: Sequence[Tensor]) -> Tensor:
    """One voice of several utterances of a person. [SIZE] each -> [SIZE]"""
    return unit(torch.stack(list(voices)).mean(0))


def similarity(a: Tensor, b: Tensor) -> float:
    """Cosine of two voices: 1 for the same; above 0 for any two, as no number of theirs is negative."""
    return float(unit(a) @ unit(b))


def looks(samples: int) -> list[int]:
    """The first frames of all looks at a sound; a last one that is mostly padding is left out, unless it is alone."""
    frames = math.ceil((samples + 1) / HOP)
    starts = list(range(0, max(1, frames - PARTIAL + _STEP + 1), _STEP))
    covered = (samples - starts[-1] * HOP) / (PARTIAL * HOP)
    return starts[:-1] if covered < _COVERED and len(starts) > 1 else starts


def mel(audio: Tensor) -> Tensor:
    """Mel power, no logarithm. audio [T] -> [1 + T // HOP, MELS]"""
    window = torch.hann_window(WINDOW)
    spectrum = torch.stft(audio, WINDOW, HOP, window=window, pad_mode="constant", return_complex=True)
    return (mel_filters(MELS, WINDOW) @ spectrum.abs().square()).T


def unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True).clamp(min=1e-12)
