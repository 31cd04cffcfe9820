"""YourTTS: coqui's VITS that hears whose voice it shall be, and reads several languages by their letters.

Casanova et al. 2022, "YourTTS: Towards zero-shot multi-speaker TTS and zero-shot voice conversion for everyone".
:data:`YOURTTS` is coqui's ``recipes/vctk/yourtts``, multilingual, at its own 16 kHz.

The voice is a vector of a speaker encoder, computed in memory for each recording. A published base has 512 numbers of
coqui's ResNet, whose weights its file holds; a base of 256 has those of :mod:`sandbox.training.voiceprint`. The two say
different things: what was trained with the one cannot be told a voice by the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from TTS.encoder.models.resnet import ResNetSpeakerEncoder
from TTS.tts.configs.shared_configs import CharactersConfig
from TTS.tts.configs.vits_config import VitsConfig
from TTS.tts.utils.text.cleaners import multilingual_cleaners

from sandbox.errors import RecipeError
from sandbox.training import bases, published, symbols, vits, voiceprint
from sandbox.training.run import Loaded, Utterance
from sandbox.training.shapes import quiet, restored
from sandbox.training.sound import SAMPLE_RATE

ENCODER = "speaker_encoder."  # where a published file keeps it; coqui leaves it out of the model's own state
CONSISTENCY = 9.0  # weight of the speaker-consistency loss, as the paper's
_VOICE_LAYER = "waveform_decoder.cond_layer.weight"  # [decoder, d_vector, 1]
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ACCENTS = "¯·ßàáâãäæçèéêëìíîïñòóôõöùúûüÿāąćēęěīıłńōőœśūűźżǎǐǒǔ"
_CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюяёєіїґ"
_PUNCTUATION = "!'(),-.:;? "


@dataclass(frozen=True)
class Shape(vits.Shape):
    """Vocabulary and sizes. Public constants, or those that the base's own configuration names."""

    architecture = "yourtts"

    characters: str = _LETTERS + _ACCENTS + _CYRILLIC + "–" + _PUNCTUATION
    punctuation: str = _PUNCTUATION
    phonemes: bool = False
    layers: int = 10
    blocks: str = "2"  # the kind of the decoder's residual blocks; the paper's authors took 2 by accident
    languages: tuple[str, ...] = ("en", "fr-fr", "pt-br")
    language: int = 4  # numbers that say which
    d_vector: int = 512  # numbers that say whose voice


YOURTTS = Shape()
tiny = vits.tiny


@dataclass(frozen=True, eq=False)
class Told(vits.Heard):
    """One utterance, with whose voice it is and in which language."""

    d_vector: Tensor = field(default_factory=lambda: torch.zeros(0))  # [d_vector], of length 1
    language: int = 0


class Model(vits.Model):
    """Coqui's model; a speaker encoder in it hears and never learns."""

    def hear(self, encoder: ResNetSpeakerEncoder) -> None:
        """Have ``encoder`` say how alike two voices are, as a loss."""
        self.speaker_encoder = encoder.requires_grad_(False).eval()
        self.speaker_manager.encoder = self.speaker_encoder
        self.args.use_speaker_encoder_as_loss = True

    def train(self, mode: bool = True) -> Model:
        super().train(mode)
        if hasattr(self, "speaker_encoder"):
            self.speaker_encoder.eval()  # its batch normalisation would learn whose voices these are
        return self


def shape_of(base: Loaded, sizes: Shape = YOURTTS) -> Shape:
    """``sizes`` with the voice's width of the base, and with the vocabulary and languages that its config names.

    Raises RecipeError: it is a base of another model, or cannot be told a voice at all.
    """
    if bases.name_of(base) != sizes.architecture:
        raise RecipeError("the base is of another model than YourTTS", code="base.model")
    if "shape" in base.metadata:  # a model of our own, trained here
        return Shape.of(base.metadata)
    layer = base.tensors.get(_VOICE_LAYER)
    if layer is None or layer.dim() != 3:
        raise RecipeError("the base takes no voice", code="base.shape")
    return replace(sizes, d_vector=int(layer.shape[1]), **_configured(base.metadata.get("config", "")))


def build(shape: Shape) -> Model:
    """The model with fresh weights from torch's global generator."""
    quiet()
    config = VitsConfig(
        characters=CharactersConfig(
            characters_class="TTS.tts.models.vits.VitsCharacters",
            pad=symbols.PAD,
            characters=shape.characters,
            punctuations=shape.punctuation,
            phonemes="",
        ),
        use_phonemes=False,
        languages=list(shape.languages),
        speaker_encoder_loss_alpha=CONSISTENCY,
    )
    args = vits.sized(config, shape).model_args
    args.use_d_vector_file, args.d_vector_dim = True, shape.d_vector
    args.use_language_embedding, args.embedded_language_dim = True, shape.language
    args.resblock_type_decoder = shape.blocks
    return Model(config)


def load(shape: Shape, model: Model, base: Loaded) -> Voice:
    """Put the base's weights into ``model``; what hears a voice for it.

    Raises RecipeError: a tensor is missing or of another shape, or nothing here hears voices of the base's width.
    """
    voice = Voice.of(shape, base)
    bases.load(model, base, model_name=shape.architecture)
    if voice.encoder is not None:
        model.hear(voice.encoder)
    return voice


@dataclass(frozen=True)
class Voice:
    """Says whose voice a recording is: by the base's own encoder, else by the one that is installed."""

    encoder: ResNetSpeakerEncoder | None = None

    @classmethod
    def of(cls, shape: Shape, base: Loaded) -> Voice:
        """Raises RecipeError where no encoder gives vectors of the base's width."""
        kept = published.under(ENCODER, base.tensors)
        if not kept:
            if shape.d_vector == voiceprint.SIZE:
                return cls()
            raise RecipeError("the base holds no speaker encoder", code="base.speaker_encoder")
        encoder = resnet(shape.d_vector)
        if not published.freeze(encoder, kept, but="torch_spec."):
            raise RecipeError("the base's speaker encoder is not coqui's ResNet", code="base.speaker_encoder")
        return cls(encoder)

    def hears(self, audio: Tensor) -> Tensor:
        """audio [T] at 16 kHz -> a vector of length 1. [d_vector]"""
        if self.encoder is None:
            return voiceprint.embed(audio)
        return self.encoder.compute_embedding(audio[None].clone()).clone()[0]


def example(shape: Shape, utterance: Utterance, voice: Voice) -> Told:
    """Raises RecipeError when the sample rate is not the model's, or the base never learned the language."""
    heard = vits.example(shape, utterance)
    text = ids(shape, utterance.text, utterance.language)
    spoken = torch.from_numpy(utterance.audio.copy())
    language = language_of(shape, utterance.language)
    return Told(text, heard.mel, heard.spectrum, heard.audio, 0, voice.hears(spoken), language)


def batch(shape: Shape, examples: Sequence[Told]) -> dict[str, Any]:
    """As ``train_step`` reads it."""
    return vits.batch(shape, examples) | {
        "d_vectors": torch.stack([e.d_vector for e in examples]),  # [B, d_vector]
        "language_ids": torch.tensor([e.language for e in examples]),
    }


def parameters(model: Model) -> tuple[list[Tensor], list[Tensor]]:
    """Those of the discriminator and those of the generator, for an optimizer each; never the speaker encoder's."""
    judging, making = vits.parameters(model)
    return judging, [parameter for parameter in making if parameter.requires_grad]


def restore(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> tuple[Shape, Model]:
    """A model that :func:`build` made and a run saved, ready to speak in any voice that it is told."""
    return restored(Shape.of(metadata), build, tensors)


def speak(shape: Shape, model: Model, text: str, d_vector: Tensor, language: str = "en") -> Tensor:
    """The sound of ``text`` at 16 kHz in the voice of ``d_vector``. [T]"""
    read = ids(shape, text, language)
    aux: dict[str, Any] = {"x_lengths": torch.tensor([len(read)]), "speaker_ids": None}
    aux |= {
        "d_vectors": d_vector[None],
        "language_ids": torch.tensor([language_of(shape, language)]),
    }
    with torch.no_grad():
        return model.inference(read[None], aux)["model_outputs"][0, 0].clone()


def ids(shape: Shape, text: str, language: str) -> Tensor:
    """Ids of letters with an empty symbol around each, as the published vocabulary counts them. [T_text] int64"""
    vocabulary = _vocabulary(shape)
    places = {
        symbol: place for place, symbol in enumerate(vocabulary)
    }  # of a symbol's two places the last, as coqui's
    known = [places[c] for c in multilingual_cleaners(text, language.partition("-")[0]) if c in places]
    found = torch.full((2 * len(known) + 1,), len(vocabulary) - 1, dtype=torch.long)
    found[1::2] = torch.tensor(known, dtype=torch.long)
    return found


def language_of(shape: Shape, language: str) -> int:
    """The row of ``language``, whatever region the base's name for it has. Raises RecipeError where there is none."""
    spoken = [name.partition("-")[0] for name in shape.languages]
    if language in shape.languages:
        return shape.languages.index(language)
    if (short := language.partition("-")[0]) in spoken:
        return spoken.index(short)
    raise RecipeError("the base has not learned a language of the recordings", code="base.language")


def _vocabulary(shape: Shape) -> list[str]:
    """``VitsCharacters`` of coqui: an empty symbol last, none for the ends of a text."""
    return [symbols.PAD, *shape.punctuation, *shape.characters, "<BLNK>"]


def resnet(size: int) -> ResNetSpeakerEncoder:
    """H/ASP of Heo et al. 2020, as ``config_se.json`` of coqui's release has it."""
    audio = {"fft_size": 512, "win_length": 400, "hop_length": 160, "sample_rate": SAMPLE_RATE, "preemphasis": 0.97,
             "num_mels": 64}  # fmt: skip
    return ResNetSpeakerEncoder(
        input_dim=64, proj_dim=size, log_input=True, use_torch_spec=True, audio_config=audio
    )


def _configured(config: str) -> dict[str, Any]:
    """What a published ``config.json`` says of symbols and languages; nothing where there is none.

    Raises RecipeError when it is no configuration, or names no symbols.
    """
    if not config:
        return {}
    try:
        told = json.loads(config)
        signs = told["characters"]
        found: dict[str, Any] = {
            "characters": signs["characters"] + (signs.get("phonemes") or ""),
            "punctuation": signs["punctuations"],
        }
        if languages := told.get("languages"):
            found["languages"] = tuple(map(str, languages))
        return found
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RecipeError("the base's configuration names no symbols", code="base.config") from None
