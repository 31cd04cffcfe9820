"""Sound to the codes that XTTS reads and writes, and to a sample of a voice: by its base's frozen parts, in memory."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torchaudio
from torch import Tensor
from torch.nn.functional import pad
from TTS.tts.layers.tortoise.arch_utils import TorchMelSpectrogram
from TTS.tts.layers.xtts.dvae import DiscreteVAE

from sandbox.errors import RecipeError
from sandbox.training import published
from sandbox.training.sound import SAMPLE_RATE

RATE = 22_050  # Hz that the base was trained at; its mels end at 8 kHz, so recordings of 16 kHz lack nothing of them
CODE = 1024  # samples of a code
SAMPLE_MIN, SAMPLE_MAX = 66_150, 132_300  # of a recording, told as its voice: 3 to 6 s
LONGEST, SHORTEST = 255_995, RATE // 2  # samples of a recording


def resampled(audio: Tensor) -> Tensor:
    """audio at 16 kHz [T] -> at RATE"""
    return torchaudio.functional.resample(audio, SAMPLE_RATE, RATE)


def autoencoder(codes: int, channels: int, numbers: int) -> DiscreteVAE:
    """As ``gpt_trainer.py`` of coqui builds it: ``codes`` of ``numbers`` each, ``channels`` in the first layer."""
    return DiscreteVAE(
        channels=80,
        normalization=None,
        positional_dims=1,
        num_tokens=codes,
        codebook_dim=numbers,
        hidden_dim=channels,
        num_resnet_blocks=3,
        kernel_size=3,
        num_layers=2,
        use_transposed_convs=False,
    )


class Ears:
    """Sound to codes and to a sample of a voice, by the base's frozen parts. In memory; nothing here is trained."""

    def __init__(self, base: Mapping[str, Tensor], codes: int, channels: int, numbers: int) -> None:
        """Raises RecipeError (``base.shape``): the base lacks its autoencoder or the statistics of its mels."""
        norms = base.get("mel_stats")
        if norms is None or norms.shape != (80,):
            raise RecipeError("the base lacks the statistics of its mels", code="base.shape")
        self._autoencoder = autoencoder(codes, channels, numbers)
        if not published.freeze(self._autoencoder, published.under("dvae.", base), but="discrete_loss."):
            raise RecipeError("the base lacks its autoencoder, or has another", code="base.shape")
        self._mel = TorchMelSpectrogram(sampling_rate=RATE, mel_norm_file=None)
        self._voice_mel = TorchMelSpectrogram(
            filter_length=2048, sampling_rate=RATE, mel_fmax=8000, mel_norm_file=None
        )
        self._mel.mel_norms = self._voice_mel.mel_norms = norms.float()

    @torch.no_grad()
    def codes(self, audio: Tensor) -> Tensor:
        """audio [T] at RATE -> [ceil(T / CODE)] int64"""
        found: Tensor = self._autoencoder.get_codebook_indices(self._mel(audio[None]))[0]
        return found[: -(-len(audio) // CODE)]

    @torch.no_grad()
    def sample(self, audio: Tensor) -> Tensor:
        """A part of a recording as its voice is told: mels [80, S], filled up with silence to the longest."""
        found: Tensor = self._voice_mel(pad(audio, (0, SAMPLE_MAX - len(audio)))[None])[0]
        return found
