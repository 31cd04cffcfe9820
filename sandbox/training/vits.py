"""Coqui's VITS: phonemes in, sound out, a discriminator beside it; one voice or a table of them.

Kim, Kong, Son 2021, "Conditional Variational Autoencoder with Adversarial Learning for End-to-End Text-to-Speech".
:data:`VITS` is ``TTS/tts/configs/vits_config.py`` of coqui-tts 0.28, but for 16 kHz.

Coqui computes a batch's spectrograms together, and an example's number of frames from its share of the longest one;
here each example has its own (:func:`example`), whoever it is batched with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from TTS.tts.configs.vits_config import VitsConfig
from TTS.tts.models.vits import Vits
from TTS.utils.audio import torch_transforms

from sandbox.errors import RecipeError
from sandbox.training import symbols
from sandbox.training.run import Utterance
from sandbox.training.shapes import Kept, conditioned, forget, quiet, restored
from sandbox.training.sound import HOP, MELS, SAMPLE_RATE, WINDOW, mel_filters

_BY_LIBROSA = "_build_mel_basis"
DISCRIMINATOR, GENERATOR = 0, 1  # the order of the optimizers


@dataclass(frozen=True)
class Shape(Kept):
    """Vocabulary and sizes. Public constants, never fitted to data."""

    architecture = "vits"

    characters: str = symbols.SPOKEN
    phonemes: bool = True
    hidden: int = 192
    inner: int = 768  # of the text encoder's feed-forward layers
    layers: int = 6
    heads: int = 2
    posterior_layers: int = 16
    flow_layers: int = 4
    decoder: int = 512  # channels of the decoder's first layer; each of four upsamplings halves them
    kernels: tuple[int, ...] = (3, 7, 11)
    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    segment: int = 32  # frames that the discriminator hears at a time
    voices: int = 1


VITS = Shape()
S = TypeVar("S", bound=Shape)


def tiny(shape: S) -> S:
    """The same model, small enough for a test: nothing of it is fit to be heard."""
    return replace(
        shape, hidden=32, inner=64, layers=1, posterior_layers=2, flow_layers=2, decoder=64, kernels=(3,), periods=(2,),
        segment=8,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Heard:
    """One utterance, ready for VITS."""

    ids: Tensor  # [T_text] int64
    mel: Tensor  # [T, MELS]
    spectrum: Tensor  # [T, WINDOW // 2 + 1]
    audio: Tensor  # [T * HOP]
    voice: int = 0


class Model(Vits):
    """Coqui's model: a criterion for each optimizer, our filters for its mel, and nothing of a step kept after it."""

    def __init__(self, config: VitsConfig) -> None:
        super().__init__(config)
        self.model_outputs_cache: dict[str, Any] | None = None

    def get_criterion(self) -> Any:
        """Coqui's losses. The generator's builds a spectrogram it never uses, by librosa: it gets our filters."""
        with _filters_of_ours():
            return super().get_criterion()

    def train_step(self, batch: dict[str, Any], criterion: Any, optimizer_idx: int | None = None) -> Any:
        _give_filters(batch["mel"])
        found = super().train_step(batch, criterion[optimizer_idx], optimizer_idx)
        if optimizer_idx == GENERATOR:
            self.model_outputs_cache = None  # real audio, and what the model made of it
            forget(self)
        return found


def build(shape: Shape) -> Model:
    """The model with fresh weights from torch's global generator."""
    quiet()
    config = VitsConfig(
        characters=symbols.configuration(shape.characters, blank=True),
        use_phonemes=False,
        **conditioned(shape.voices),
    )
    # coqui resets the one by the other
    config.model_args.use_speaker_embedding = config.use_speaker_embedding = shape.voices > 1
    return Model(sized(config, shape))


def sized(config: VitsConfig, shape: Shape) -> VitsConfig:
    """``config`` with the sizes of ``shape`` and our constants of audio."""
    args = config.model_args
    args.hidden_channels = shape.hidden
    args.hidden_channels_ffn_text_encoder = shape.inner
    args.num_layers_text_encoder, args.num_heads_text_encoder = shape.layers, shape.heads
    args.num_layers_posterior_encoder, args.num_layers_flow = shape.posterior_layers, shape.flow_layers
    args.upsample_initial_channel_decoder = shape.decoder
    args.resblock_kernel_sizes_decoder = list(shape.kernels)
    args.resblock_dilation_sizes_decoder = [[1, 3, 5] for _ in shape.kernels]
    args.periods_multi_period_discriminator = list(shape.periods)
    args.spec_segment_size = shape.segment
    config.audio = _Audio()
    return config


def example(shape: Shape, utterance: Utterance, voice: int = 0) -> Heard:
    """Raises RecipeError when the sample rate is not the model's."""
    if utterance.sample_rate != SAMPLE_RATE:
        raise RecipeError(f"this model wants {SAMPLE_RATE} Hz", code="recipe.sample_rate")
    frames = max(2, len(utterance.audio) // HOP)  # an odd end is left out, so that frames and samples agree
    audio = torch.zeros(frames * HOP)
    given = torch.from_numpy(utterance.audio[: len(audio)].copy())
    audio[: len(given)] = given
    spectrum = torch_transforms.wav_to_spec(audio[None, None], WINDOW, HOP, WINDOW)[0].T  # [T, bins]
    mel = torch_transforms.amp_to_db(spectrum @ mel_filters().T)
    return Heard(_ids(shape, utterance.text, utterance.language), mel, spectrum, audio, voice)


def batch(shape: Shape, examples: Sequence[Heard]) -> dict[str, Any]:
    """As ``train_step`` reads it; shorter ones padded with zeros."""
    frames = torch.tensor([len(e.mel) for e in examples])  # [B]
    return {
        "tokens": pad_sequence([e.ids for e in examples], batch_first=True),  # [B, T_text]
        "token_lens": torch.tensor([len(e.ids) for e in examples]),
        "spec": pad_sequence([e.spectrum for e in examples], batch_first=True).transpose(
            1, 2
        ),  # [B, bins, T]
        "mel": pad_sequence([e.mel for e in examples], batch_first=True).transpose(1, 2),  # [B, MELS, T]
        "spec_lens": frames,
        "mel_lens": frames,
        "waveform": pad_sequence([e.audio for e in examples], batch_first=True)[:, None],  # [B, 1, T * HOP]
        "speaker_ids": torch.tensor([e.voice for e in examples]) if shape.voices > 1 else None,
        "d_vectors": None,
        "language_ids": None,
    }


def parameters(model: Model) -> tuple[list[Tensor], list[Tensor]]:
    """Those of the discriminator and those of the generator, for an optimizer each."""
    named = list(model.named_parameters())
    judging = [parameter for name, parameter in named if name.startswith("disc.")]
    return judging, [parameter for name, parameter in named if not name.startswith("disc.")]


def restore(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> tuple[Shape, Model]:
    """A model that :func:`build` made and a run saved, ready to speak."""
    return restored(Shape.of(metadata), build, tensors)


def speak(shape: Shape, model: Model, text: str, voice: int = 0, language: str = "en") -> Tensor:
    """The sound of ``text`` at 16 kHz. [T]"""
    read = _ids(shape, text, language)
    aux: dict[str, Any] = {"x_lengths": torch.tensor([len(read)]), "d_vectors": None, "language_ids": None}
    aux["speaker_ids"] = torch.tensor([voice]) if shape.voices > 1 else None
    with torch.no_grad():
        return model.inference(read[None], aux)["model_outputs"][0, 0].clone()


class _Audio:
    """The constants that the model reads of its audio. No coqui class: its processor would load librosa."""

    sample_rate, fft_size, win_length, hop_length, num_mels = SAMPLE_RATE, WINDOW, WINDOW, HOP, MELS
    mel_fmin, mel_fmax = 0.0, None


def _give_filters(like: Tensor) -> None:
    """Coqui asks librosa for the filters, which compiles for 15 s; these are the same numbers, kept where it looks."""
    name = f"{WINDOW}_{_Audio.mel_fmax}_{like.dtype}_{like.device}"
    if name not in torch_transforms.mel_basis:
        torch_transforms.mel_basis[name] = mel_filters().to(like)


@contextmanager
def _filters_of_ours() -> Iterator[None]:
    kept = getattr(torch_transforms.TorchSTFT, _BY_LIBROSA)
    setattr(torch_transforms.TorchSTFT, _BY_LIBROSA, lambda stft: setattr(stft, "mel_basis", mel_filters()))
    try:
        yield
    finally:
        setattr(torch_transforms.TorchSTFT, _BY_LIBROSA, kept)


def _ids(shape: Shape, text: str, language: str) -> Tensor:
    return symbols.ids(shape.characters, text, language, spoken=shape.phonemes, blank=True)
