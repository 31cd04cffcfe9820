"""Coqui's FastPitch (ForwardTTS): characters or phonemes in, log-mel out, durations by its own aligner.

Sizes: Shape() is what digits and voices-dp train; :data:`FASTPITCH` and :data:`FASTSPEECH2` are coqui's published ones,
with pitch and energy averaged over each phoneme (Lancucki 2021, "FastPitch"; Ren et al. 2021, "FastSpeech 2").

A model is released as its ``state_dict`` and a :class:`Shape`; nothing else of it is needed to speak again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from TTS.tts.configs.fast_pitch_config import FastPitchConfig

from sandbox.errors import RecipeError
from sandbox.training import symbols
from sandbox.training.batches import Example, collate
from sandbox.training.blind import FastPitch
from sandbox.training.pitch import energy, pitch, scaled_pitch
from sandbox.training.run import Utterance
from sandbox.training.shapes import Kept, quiet, restored
from sandbox.training.sound import FLOOR, MELS, SAMPLE_RATE, aloud, log_mel

LATIN = "abcdefghijklmnopqrstuvwxyz"
ACCENTS = "àáâçèéêëìíîïñòóôùúûü"
CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюяё"
_MEL_MEAN = -3.0  # public constant; log-mels lie in [-6.5, 2]
ENERGY_LOSS = 0.1  # as coqui's FastSpeech 2


@dataclass(frozen=True)
class Shape(Kept):
    """All that is needed to build the model: the vocabulary and the sizes. Public constants, never fitted to data."""

    architecture = "fastpitch"

    characters: str = LATIN
    hidden: int = 128
    inner: int = 256
    layers: int = 2
    heads: int = 2
    voices: int = 0  # rows of the embedding that conditions the model; 0 for one voice
    dropout: float = 0.0
    predictor: int = 0  # channels of what predicts durations, pitch and energy; 0: as many as hidden
    pitch: bool = False
    energy: bool = False
    phonemes: bool = False  # texts are turned into IPA, which ``characters`` must hold


#: ``TTS/tts/configs/fast_pitch_config.py`` and ``ForwardTTSArgs`` of coqui-tts 0.28, but for 16 kHz.
FASTPITCH = Shape(
    characters=symbols.SPOKEN,
    hidden=384,
    inner=1024,
    layers=6,
    heads=1,
    dropout=0.1,
    predictor=256,
    pitch=True,
    phonemes=True,
)
FASTSPEECH2 = replace(FASTPITCH, energy=True)  # ``TTS/tts/configs/fastspeech2_config.py``


def tiny(shape: Shape) -> Shape:
    """The same model, small enough for a test: nothing of it is fit to be heard."""
    return replace(shape, hidden=32, inner=64, layers=1, predictor=32)


@dataclass(frozen=True, eq=False)
class Sung(Example):
    """An example whose pitch and energy the model reads too."""

    pitch: Tensor | None = None  # [T_mel], scaled
    energy: Tensor | None = None  # [T_mel], scaled


def batch(examples: Sequence[Example], *, voices: bool = False) -> dict[str, Any]:
    """As ``batches.collate``, with pitch and energy [B, 1, T_mel] where the examples have them."""
    found = collate(examples, voices=voices)
    for name in ("pitch", "energy"):
        rows = [getattr(example, name, None) for example in examples]
        if all(row is not None for row in rows):
            found[name] = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)[:, None]
    return found


def build(shape: Shape) -> FastPitch:
    """The model with fresh weights from torch's global generator."""
    quiet()
    layers = {
        "hidden_channels_ffn": shape.inner,
        "num_heads": shape.heads,
        "num_layers": shape.layers,
        "dropout_p": shape.dropout,
    }
    config = FastPitchConfig(
        characters=symbols.configuration(shape.characters),
        use_phonemes=False,
        compute_f0=False,
        use_speaker_embedding=shape.voices > 0,
        speakers=[f"voice-{n}" for n in range(shape.voices)],
    )
    args = config.model_args
    args.use_pitch, args.use_energy = shape.pitch, shape.energy
    args.out_channels = MELS
    args.hidden_channels = shape.hidden
    args.encoder_params = dict(layers)
    args.decoder_params = dict(layers)
    for predictor in ("duration", "pitch", "energy"):
        setattr(args, f"{predictor}_predictor_hidden_channels", shape.predictor or shape.hidden)
        setattr(args, f"{predictor}_predictor_dropout_p", shape.dropout)
    config.energy_loss_alpha = ENERGY_LOSS
    config.audio = None  # no AudioProcessor: it would load librosa and compile numba for 15 s
    return FastPitch(config)


def ids(shape: Shape, text: str, language: str = "en") -> Tensor:
    """Ids with silence at both ends; what the vocabulary lacks is left out. [T_text] int64"""
    return symbols.ids(shape.characters, text, language, spoken=shape.phonemes)


def example(shape: Shape, utterance: Utterance, voice: int = 0) -> Example:
    """Raises RecipeError when the sample rate is not the model's."""
    if utterance.sample_rate != SAMPLE_RATE:
        raise RecipeError(f"this model wants {SAMPLE_RATE} Hz", code="recipe.sample_rate")
    audio = torch.from_numpy(utterance.audio.copy())
    text, mel = ids(shape, utterance.text, utterance.language), log_mel(audio) - _MEL_MEAN
    if not (shape.pitch or shape.energy):
        return Example(text, mel, voice)
    return Sung(
        text,
        mel,
        voice,
        scaled_pitch(pitch(audio)) if shape.pitch else None,
        energy(audio) if shape.energy else None,
    )


def released(shape: Shape) -> Mapping[str, str]:
    """What is saved beside the weights."""
    return shape.released()


def restore(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> tuple[Shape, FastPitch]:
    """A model that :func:`build` made and a run saved, ready to speak."""
    return restored(Shape.of(metadata), build, tensors)


def spectrum(shape: Shape, model: FastPitch, text: str, voice: int = 0, language: str = "en") -> Tensor:
    """The log-mel of ``text``. [T_mel, MELS]"""
    aux: dict[str, Any] = {"d_vectors": None, "speaker_ids": torch.tensor([voice]) if shape.voices else None}
    with torch.no_grad():
        mel = model.inference(ids(shape, text, language)[None], aux)["model_outputs"][0]  # [T_mel, MELS]
        return (mel + _MEL_MEAN).clamp(min=math.log(FLOOR))


def speak(shape: Shape, model: FastPitch, text: str, voice: int = 0, language: str = "en") -> Tensor:
    """The sound of ``text`` at 16 kHz. [T]"""
    return aloud(spectrum(shape, model, text, voice, language))
