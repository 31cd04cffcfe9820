"""Coqui's FastPitch (ForwardTTS), small: characters in, log-mel out, durations by its own aligner, no pitch.

Coqui's aligner knows a prior but is given none; with minutes of speech instead of hours it needs one, so we pass the
beta-binomial prior of the paper (Badlani et al. 2021, "One TTS alignment to rule them all").

Coqui's layers let an example see the padding behind it: the decoder attends to it, and every convolution reads it. A
word that was always padded in training then sounds otherwise when it is said alone. Ours hide it (:class:`Layers`).

A model is released as its ``state_dict`` and a :class:`Shape`; nothing else of it is needed to speak again.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from monotonic_alignment_search import maximum_path
from torch import Tensor
from TTS.tts.configs.fast_pitch_config import FastPitchConfig
from TTS.tts.configs.shared_configs import CharactersConfig
from TTS.tts.layers.feed_forward.decoder import FFTransformerDecoder
from TTS.tts.layers.generic.transformer import FFTransformerBlock
from TTS.tts.models.forward_tts import ForwardTTS

from sandbox.errors import RecipeError
from sandbox.training.batches import Example
from sandbox.training.run import Utterance
from sandbox.training.sound import FLOOR, MELS, SAMPLE_RATE, griffin_lim, log_mel, refined

LATIN = "abcdefghijklmnopqrstuvwxyz"
ACCENTS = "àáâçèéêëìíîïñòóôùúûü"
CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюяё"
_MEL_MEAN = -3.0  # public constant; log-mels lie in [-6.5, 2]
_NAMES = ("TTS", "trainer", "coqpit", "torch", "opacus", "numba", "matplotlib")


@dataclass(frozen=True)
class Shape:
    """All that is needed to build the model: the vocabulary and the sizes. Public constants, never fitted to data."""

    characters: str = LATIN
    hidden: int = 128
    inner: int = 256
    layers: int = 2
    heads: int = 2
    voices: int = 0  # rows of the embedding that conditions the model; 0 for one voice
    dropout: float = 0.0

    def to_text(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_text(cls, text: str) -> Shape:
        """Raises RecipeError when the text is not a shape."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            raise RecipeError("the model's shape is unreadable", code="recipe.model_shape") from None


class Layers(FFTransformerBlock):
    """Coqui's transformer layers, blind to padding: an example comes out the same alone and in any batch."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [B, C, T], mask [B, 1, T] -> [B, C, T]; without padding as coqui's, its doubled residual included."""
        hidden = ~mask.squeeze(1).bool()  # [B, T]
        for layer in self.fft_layers:
            x = x.permute(2, 0, 1)  # [T, B, C]
            mixed, _ = layer.self_attn(x, x, x, key_padding_mask=hidden, need_weights=False)
            x = layer.norm1(x + layer.dropout1(mixed) + mixed).permute(1, 2, 0) * mask
            wide = layer.conv1(x).relu() * mask
            x = x + layer.dropout2(layer.conv2(wide))
            x = layer.norm2(x.transpose(1, 2)).transpose(1, 2) * mask
        return x


class Decoder(FFTransformerDecoder):
    """Coqui's decoder with :class:`Layers`, which it tells what is padding."""

    def __init__(self, in_channels: int, out_channels: int, params: dict[str, Any]) -> None:
        super().__init__(in_channels, out_channels, params)
        self.transformer_block = Layers(in_channels, **params)

    def forward(self, x: Tensor, x_mask: Tensor, _g: Tensor | None = None) -> Tensor:
        """x [B, C, T], x_mask [B, 1, T] -> [B, out_channels, T]"""
        return self.postnet(self.transformer_block(x, x_mask)) * x_mask


class FastPitch(ForwardTTS):
    """Coqui's model, blind to padding, with the prior that its aligner takes."""

    def __init__(self, config: FastPitchConfig) -> None:
        super().__init__(config)
        args = self.args
        self.encoder.encoder = Layers(args.hidden_channels, **args.encoder_params)
        self.decoder.decoder = Decoder(args.hidden_channels, args.out_channels, args.decoder_params)

    def _forward_aligner(
        self, x: Tensor, y: Tensor, x_mask: Tensor, y_mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As coqui's, shapes included, but for the prior and for what is padding."""
        prior = alignment_prior(x_mask.sum((1, 2)), y_mask.sum((1, 2)))
        heard, read = y.transpose(1, 2) * y_mask, x.transpose(1, 2) * x_mask
        soft, log_probability = self.aligner(heard, read, x_mask, prior)
        soft = soft.squeeze(1).transpose(1, 2)  # [B, T_text, T_mel]
        allowed = x_mask.transpose(1, 2) * y_mask  # [B, T_text, T_mel]
        hard = maximum_path(soft.contiguous(), allowed.contiguous())
        return hard.sum(-1).int(), soft, log_probability, hard


def alignment_prior(text_lengths: Tensor, mel_lengths: Tensor) -> Tensor:
    """How likely each character is at each frame before anything is heard: beta-binomial along the diagonal.

    Lengths [B] -> [B, T_mel, T_text]; zero beyond a text's end.
    """
    frame = torch.arange(1, int(mel_lengths.max()) + 1)[None, :, None]
    place = torch.arange(int(text_lengths.max()))[None, None, :]
    last = (text_lengths - 1)[:, None, None]
    a, b = frame + 0.0, (mel_lengths[:, None, None] - frame + 1).clamp(min=1) + 0.0
    k = torch.minimum(place, last)
    log = (last + 1).lgamma() - (k + 1).lgamma() - (last - k + 1).lgamma()
    log = log + (k + a).lgamma() + (last - k + b).lgamma() - (last + a + b).lgamma()
    log = log + (a + b).lgamma() - a.lgamma() - b.lgamma()
    return log.exp() * (place <= last)


def build(shape: Shape) -> FastPitch:
    """The model with fresh weights from torch's global generator."""
    for name in _NAMES:
        logging.getLogger(name).setLevel(logging.ERROR)
    layers = {
        "hidden_channels_ffn": shape.inner,
        "num_heads": shape.heads,
        "num_layers": shape.layers,
        "dropout_p": shape.dropout,
    }
    config = FastPitchConfig(
        characters=CharactersConfig(
            pad="_",
            eos="~",
            bos="^",
            blank=None,
            characters=shape.characters,
            punctuations=" ",
            is_sorted=False,
        ),
        use_phonemes=False,
        compute_f0=False,
        use_speaker_embedding=shape.voices > 0,
        speakers=[f"voice-{n}" for n in range(shape.voices)],
    )
    args = config.model_args
    args.use_pitch = False
    args.out_channels = MELS
    args.hidden_channels = shape.hidden
    args.encoder_params = dict(layers)
    args.decoder_params = dict(layers)
    args.duration_predictor_hidden_channels = shape.hidden
    args.duration_predictor_dropout_p = shape.dropout
    config.audio = None  # no AudioProcessor: it would load librosa and compile numba for 15 s
    return FastPitch(config)


def ids(shape: Shape, text: str) -> Tensor:
    """Character ids with silence at both ends; what the vocabulary lacks is left out. [T_text] int64"""
    places = {character: index for index, character in enumerate(_vocabulary(shape))}
    known = [places[c] for c in f" {text.lower()} " if c in places]
    return torch.tensor(known, dtype=torch.long)


def example(shape: Shape, utterance: Utterance, voice: int = 0) -> Example:
    """Raises RecipeError when the sample rate is not the model's."""
    if utterance.sample_rate != SAMPLE_RATE:
        raise RecipeError(f"this model wants {SAMPLE_RATE} Hz", code="recipe.sample_rate")
    audio = torch.from_numpy(utterance.audio.copy())
    return Example(ids(shape, utterance.text), log_mel(audio) - _MEL_MEAN, voice)


def released(shape: Shape) -> Mapping[str, str]:
    """What is saved beside the weights."""
    return {"architecture": "fastpitch", "shape": shape.to_text()}


def restore(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> tuple[Shape, FastPitch]:
    """A model that :func:`build` made and a run saved, ready to speak."""
    if metadata.get("architecture") != "fastpitch":
        raise RecipeError("the input is no FastPitch model", code="recipe.model_shape")
    shape = Shape.from_text(metadata.get("shape", ""))
    model = build(shape)
    model.load_state_dict(dict(tensors))
    return shape, model.eval()


def speak(shape: Shape, model: FastPitch, text: str, voice: int = 0) -> Tensor:
    """The sound of ``text`` at 16 kHz. [T]"""
    aux: dict[str, Any] = {"d_vectors": None, "speaker_ids": torch.tensor([voice]) if shape.voices else None}
    with torch.no_grad():
        mel = model.inference(ids(shape, text)[None], aux)["model_outputs"][0]  # [T_mel, MELS]
        mel = (mel + _MEL_MEAN).clamp(min=math.log(FLOOR))
    sound = refined(griffin_lim(mel), mel)
    return sound / sound.abs().max().clamp(min=1.0)


def _vocabulary(shape: Shape) -> list[str]:
    return ["_", "~", "^", *shape.characters, " "]
