"""Coqui's GlowTTS: phonemes in, log-mel out through an invertible flow; it finds the alignment itself.

Kim, Kim, Kong, Yoon 2020, "Glow-TTS: A Generative Flow for Text-to-Speech via Monotonic Alignment Search".
:data:`GLOWTTS` is ``TTS/tts/configs/glow_tts_config.py`` of coqui-tts 0.28, but for 16 kHz.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from TTS.tts.configs.glow_tts_config import GlowTTSConfig
from TTS.tts.models.glow_tts import GlowTTS

from sandbox.errors import RecipeError
from sandbox.training import symbols
from sandbox.training.batches import Example, collate
from sandbox.training.run import Utterance
from sandbox.training.shapes import Kept, conditioned, forget, quiet, restored
from sandbox.training.sound import FLOOR, MELS, SAMPLE_RATE, aloud, log_mel

_MEL_MEAN = -3.0  # public constant; log-mels lie in [-6.5, 2]


@dataclass(frozen=True)
class Shape(Kept):
    """Vocabulary and sizes. Public constants, never fitted to data."""

    architecture = "glowtts"

    characters: str = symbols.SPOKEN
    phonemes: bool = True
    hidden: int = 192
    inner: int = 768  # of the encoder's feed-forward layers
    layers: int = 6
    heads: int = 2
    predictor: int = 256
    flows: int = 12
    flow_layers: int = 4
    dropout: float = 0.1
    flow_dropout: float = 0.05
    voices: int = 1


GLOWTTS = Shape()


def tiny(shape: Shape) -> Shape:
    """The same model, small enough for a test: nothing of it is fit to be heard."""
    return replace(shape, hidden=32, inner=64, layers=1, predictor=32, flows=2, flow_layers=2)


class Model(GlowTTS):
    """Coqui's model, which keeps nothing of a step after it."""

    def train_step(self, batch: dict[str, Any], criterion: Any, optimizer_idx: int | None = None) -> Any:
        found = super().train_step(batch, criterion, optimizer_idx)
        forget(self)
        return found


def build(shape: Shape) -> Model:
    """The model with fresh weights from torch's global generator; :func:`initialise` is up to the caller."""
    quiet()
    config = GlowTTSConfig(
        characters=symbols.configuration(shape.characters),
        use_phonemes=False,
        out_channels=MELS,
        hidden_channels_enc=shape.hidden,
        hidden_channels_dec=shape.hidden,
        hidden_channels_dp=shape.predictor,
        num_flow_blocks_dec=shape.flows,
        num_block_layers=shape.flow_layers,
        dropout_p_dp=shape.dropout,
        dropout_p_dec=shape.flow_dropout,
        data_dep_init_steps=0,  # train_step would return no loss in the first ones: see initialise
        **conditioned(shape.voices),
    )
    config.encoder_params = {
        "kernel_size": 3, "dropout_p": shape.dropout, "num_layers": shape.layers, "num_heads": shape.heads,
        "hidden_channels_ffn": shape.inner, "input_length": None,
    }  # fmt: skip
    config.audio = None  # no AudioProcessor: it would load librosa and compile numba for 15 s
    return Model(config)


def initialise(model: Model, first: Mapping[str, Any]) -> None:
    """Set the flow's normalisations by one batch, so that each starts at mean 0 and variance 1.

    Coqui does so in each of its first ten steps and each undoes the last: one batch decides there too. It is a look at
    data that no accountant sees: a private training leaves it out.
    """
    model.unlock_act_norm_layers()
    aux = {"d_vectors": None, "speaker_ids": first["speaker_ids"]}
    with torch.no_grad():
        text, mel = (first["text_input"], first["text_lengths"]), (first["mel_input"], first["mel_lengths"])
        model(*text, *mel, aux_input=aux)
    model.lock_act_norm_layers()


def example(shape: Shape, utterance: Utterance, voice: int = 0) -> Example:
    """Raises RecipeError when the sample rate is not the model's."""
    if utterance.sample_rate != SAMPLE_RATE:
        raise RecipeError(f"this model wants {SAMPLE_RATE} Hz", code="recipe.sample_rate")
    mel = log_mel(torch.from_numpy(utterance.audio.copy())) - _MEL_MEAN
    return Example(_ids(shape, utterance.text, utterance.language), mel[: len(mel) // 2 * 2], voice)


def batch(shape: Shape, examples: Sequence[Example]) -> dict[str, Any]:
    """As ``train_step`` reads it. An even number of frames each: the flow takes them in pairs."""
    return collate(examples, voices=shape.voices > 1)


def restore(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> tuple[Shape, Model]:
    """A model that :func:`build` made and a run saved, ready to speak."""
    return restored(Shape.of(metadata), build, tensors)


def spectrum(shape: Shape, model: Model, text: str, voice: int = 0, language: str = "en") -> Tensor:
    """The log-mel of ``text``. [T_mel, MELS]"""
    read = _ids(shape, text, language)
    row = torch.tensor([voice]) if shape.voices > 1 else None
    aux = {"x_lengths": torch.tensor([len(read)]), "d_vectors": None, "speaker_ids": row}
    with torch.no_grad():
        mel = model.inference(read[None], aux)["model_outputs"][0]  # [T_mel, MELS]
        return (mel + _MEL_MEAN).clamp(min=math.log(FLOOR), max=4.0)


def speak(shape: Shape, model: Model, text: str, voice: int = 0, language: str = "en") -> Tensor:
    """The sound of ``text`` at 16 kHz. [T]"""
    return aloud(spectrum(shape, model, text, voice, language))


def _ids(shape: Shape, text: str, language: str) -> Tensor:
    return symbols.ids(shape.characters, text, language, spoken=shape.phonemes)
