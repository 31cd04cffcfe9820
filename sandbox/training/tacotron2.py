"""Coqui's Tacotron 2 with double decoder consistency: phonemes in, log-mel out, a few frames at a time, by attention.

Shen et al. 2018, "Natural TTS Synthesis by Conditioning WaveNet on Mel Spectrogram Predictions"; a second, coarser
decoder trains beside the first and both are to attend alike (Golge 2020, "Solving Attention Problems of TTS models with
Double Decoder Consistency"). :data:`TACOTRON2_DDC` is ``TTS/tts/configs/tacotron2_config.py`` of coqui-tts 0.28 with
the settings of its LJSpeech recipe ``tacotron2-DDC``, but for 16 kHz.

Encoder and postnet keep the statistics of what they see (BatchNorm): no training with differential privacy takes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from TTS.tts.configs.tacotron2_config import Tacotron2Config
from TTS.tts.layers.tacotron.attentions import init_attn
from TTS.tts.layers.tacotron.common_layers import Linear, Prenet
from TTS.tts.layers.tacotron.tacotron2 import ConvBNBlock, Decoder, Encoder, Postnet
from TTS.tts.models.tacotron2 import Tacotron2

from sandbox.errors import RecipeError
from sandbox.training import symbols
from sandbox.training.batches import Example, collate
from sandbox.training.run import Utterance
from sandbox.training.shapes import Kept, conditioned, quiet, restored
from sandbox.training.sound import FLOOR, MELS, SAMPLE_RATE, aloud, log_mel
from sandbox.training.usable import Wanted

HEARD = Wanted(SAMPLE_RATE, shortest_s=0.2)  # one of its losses looks through a window of 11 frames
STAGES = ((0, 6), (10_000, 4), (50_000, 3), (100_000, 2))  # from which step on: frames at a time
_MEL_MEAN = -3.0  # public constant; log-mels lie in [-6.5, 2]
_LONGEST = 20  # frames a symbol, 0.32 s: a model that was not trained never says that it is done


@dataclass(frozen=True)
class Shape(Kept):
    """Vocabulary and sizes. Public constants, never fitted to data."""

    architecture = "tacotron2"

    characters: str = symbols.SPOKEN
    phonemes: bool = True
    hidden: int = 512  # of the embeddings and the encoder
    inner: int = 1024  # of the decoders' two recurrent layers
    prenet: int = 256
    attention: int = 128
    postnet: int = 512
    frames: int = 6  # that the decoder says at a time, at most (coqui's r)
    coarse: int = 6  # that the second decoder says at a time (coqui's ddc_r)
    voices: int = 1


TACOTRON2_DDC = Shape()


def tiny(shape: Shape) -> Shape:
    """The same model, small enough for a test: nothing of it is fit to be heard."""
    return replace(shape, hidden=32, inner=48, prenet=32, attention=16, postnet=32)


class Sized(Decoder):
    """Coqui's decoder, whose widths are written into its code, in those of a shape."""

    def __init__(self, shape: Shape, read: int, frames: int) -> None:
        nn.Module.__init__(self)
        spoken = MELS * frames
        self.frame_channels, self.encoder_embedding_dim = MELS, read
        self.r = self.r_init = frames
        self.query_dim = self.decoder_rnn_dim = shape.inner
        self.p_attention_dropout = self.p_decoder_dropout = 0.1
        self.separate_stopnet, self.stop_threshold, self.max_decoder_steps = True, 0.5, _LONGEST
        self.prenet = Prenet(MELS, "original", True, out_features=[shape.prenet] * 2, bias=False)
        self.attention_rnn = nn.LSTMCell(shape.prenet + read, shape.inner)
        self.attention = init_attn(
            "original", query_dim=shape.inner, embedding_dim=read, attention_dim=shape.attention,
            location_attention=True, attention_location_n_filters=32, attention_location_kernel_size=31,
            windowing=False, norm="sigmoid", forward_attn=False, trans_agent=False, forward_attn_mask=False,
            attn_K=None,
        )  # fmt: skip
        self.decoder_rnn = nn.LSTMCell(shape.inner + read, shape.inner)
        self.linear_projection = Linear(shape.inner + read, spoken)
        self.stopnet = nn.Sequential(
            nn.Dropout(0.1), Linear(shape.inner + spoken, 1, init_gain="sigmoid")
        )  # of the features that the decoder says, without a gradient into it


class Model(Tacotron2):
    """Coqui's model in the sizes of a shape; it knows how many frames it says at a time, and keeps nothing of them."""

    def __init__(self, config: Tacotron2Config, shape: Shape) -> None:
        super(Tacotron2, self).__init__(config)  # coqui's own would make every layer in the published sizes
        for key in config:
            setattr(self, key, config[key])
        read = shape.hidden
        if shape.voices > 1:
            self.init_multispeaker()
            read += self.embedded_speaker_dim
        self.embedding = nn.Embedding(self.num_chars, shape.hidden, padding_idx=0)
        self.encoder = Encoder(shape.hidden)
        self.decoder, self.coarse_decoder = (Sized(shape, read, n) for n in (shape.frames, shape.coarse))
        self.postnet = Postnet(MELS, num_convs=0)
        widths = [MELS, *[shape.postnet] * 4, MELS]
        self.postnet.convolutions = nn.ModuleList(
            ConvBNBlock(wide, wider, 5, "tanh" if n < 4 else None)
            for n, (wide, wider) in enumerate(pairwise(widths))
        )
        self.register_buffer("frames", torch.tensor(shape.frames))

    def train_step(self, batch: dict[str, Any], criterion: Any, optimizer_idx: int | None = None) -> Any:
        self.decoder.set_r(int(self.frames))
        found = super().train_step(in_steps(batch, int(self.frames)), criterion, optimizer_idx)
        _forget(self)
        return found

    def inference(self, text: Tensor, aux_input: dict[str, Any] | None = None) -> Any:
        self.decoder.set_r(int(self.frames))
        self.decoder.max_decoder_steps = math.ceil(_LONGEST * text.shape[1] / int(self.frames))
        found = super().inference(text, aux_input)
        _forget(self)
        return found


class Gradual:
    """Fewer frames at a time as training goes on, by the step; a schedule like the optimizer's, kept in a checkpoint.

    Wang et al. 2017 begin with many, for then attention is found; coqui's recipe calls it gradual training.
    """

    def __init__(self, model: Model, stages: Sequence[tuple[int, int]] = STAGES) -> None:
        self._model, self._stages, self._done = model, stages, 0
        self._set()

    def step(self) -> None:
        self._done += 1
        self._set()

    def state_dict(self) -> dict[str, int]:
        return {"done": self._done}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        self._done = state["done"]
        self._set()

    def _set(self) -> None:
        self._model.frames.fill_(next(n for first, n in reversed(self._stages) if self._done >= first))


def build(shape: Shape) -> Model:
    """The model with fresh weights from torch's global generator."""
    quiet()
    config = Tacotron2Config(
        characters=symbols.configuration(shape.characters),
        use_phonemes=False,
        out_channels=MELS,
        r=shape.frames,
        double_decoder_consistency=True,
        ddc_r=shape.coarse,
        encoder_in_features=shape.hidden,
        decoder_in_features=shape.hidden,
        speaker_embedding_dim=shape.hidden,
        **conditioned(shape.voices),
    )
    config.audio = None  # no AudioProcessor: it would load librosa and compile numba for 15 s
    return Model(config, shape)


def example(shape: Shape, utterance: Utterance, voice: int = 0) -> Example:
    """Raises RecipeError when the sample rate is not the model's."""
    if utterance.sample_rate != SAMPLE_RATE:
        raise RecipeError(f"this model wants {SAMPLE_RATE} Hz", code="recipe.sample_rate")
    mel = log_mel(torch.from_numpy(utterance.audio.copy())) - _MEL_MEAN
    return Example(_ids(shape, utterance.text, utterance.language), mel, voice)


def batch(shape: Shape, examples: Sequence[Example]) -> dict[str, Any]:
    """As ``batches.collate``, the longest text first: the encoder packs them so."""
    by_length = sorted(examples, key=lambda e: len(e.ids), reverse=True)
    return collate(by_length, voices=shape.voices > 1)


def in_steps(batch: Mapping[str, Any], frames: int) -> dict[str, Any]:
    """``batch`` for a decoder that says ``frames`` at a time: whole steps, and at which one each recording ends."""
    mel, lengths = batch["mel_input"], batch["mel_lengths"]  # [B, T, MELS], [B]
    steps = math.ceil(mel.shape[1] / frames)
    last = (lengths - 1) // frames  # [B]
    return {
        **batch,
        "mel_input": pad(mel, (0, 0, 0, steps * frames - mel.shape[1])),
        "stop_targets": (torch.arange(steps, device=mel.device)[None] >= last[:, None]).float(),  # [B, steps]
        "stop_target_lengths": last + 1,
    }


def restore(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> tuple[Shape, Model]:
    """A model that :func:`build` made and a run saved, ready to speak."""
    return restored(Shape.of(metadata), build, tensors)


def spectrum(shape: Shape, model: Model, text: str, voice: int = 0, language: str = "en") -> Tensor:
    """The log-mel of ``text``. [T_mel, MELS] No dropout: the same words sound the same."""
    read = _ids(shape, text, language)
    row = torch.tensor([voice]) if shape.voices > 1 else None
    found = model.inference(read[None], {"d_vectors": None, "speaker_ids": row})
    mel = found["model_outputs"][0].clone()  # [T_mel, MELS]
    return (mel + _MEL_MEAN).clamp(min=math.log(FLOOR), max=4.0)


def speak(shape: Shape, model: Model, text: str, voice: int = 0, language: str = "en") -> Tensor:
    """The sound of ``text`` at 16 kHz. [T]"""
    return aloud(spectrum(shape, model, text, voice, language))


def _forget(model: nn.Module) -> None:
    """Drop what decoders and attention keep of their last step; the next one begins by making them anew."""
    for module in model.modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor):
                setattr(module, name, None)


def _ids(shape: Shape, text: str, language: str) -> Tensor:
    return symbols.ids(shape.characters, text, language, spoken=shape.phonemes)
