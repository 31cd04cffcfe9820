"""The GPT of XTTS v2, tuned from its base: text and a sample of a voice in, codes of sound out.

Casanova et al. 2024, "XTTS: a Massively Multilingual Zero-Shot Text-to-Speech Model". Losses and sizes are those of
coqui's ``GPTTrainer`` and ``recipes/ljspeech/xtts_v2``. The base brings what is not trained: what turns sound into
codes (:mod:`sandbox.training.codes`), and the BPE vocabulary, read from text.

It differs from coqui's trainer in three points. Codes are computed once for each recording, alone, not in a padded
batch. The part of a recording that is its own sample counts for no loss, in every example: coqui's forward does so in
the last one of a batch, and counts 256 samples a code where a code has 1024. And a recording that does not fit is left
out and counted: no other takes its place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from TTS.tts.layers.xtts.gpt import GPT
from TTS.tts.layers.xtts.tokenizer import Tokenizer, VoiceBpeTokenizer

from sandbox.errors import RecipeError
from sandbox.training import bases, published
from sandbox.training.codes import CODE, LONGEST, SAMPLE_MAX, SAMPLE_MIN, SHORTEST, Ears, resampled
from sandbox.training.run import Loaded, Run, Utterance
from sandbox.training.shapes import Kept, quiet, restored
from sandbox.training.sound import SAMPLE_RATE
from sandbox.training.usable import Wanted, usable

TEXT_LONGEST = 200  # tokens
TEXT_WEIGHT, SOUND_WEIGHT = 0.01, 1.0  # of the two cross-entropies
UNKNOWN = 1  # the token for what the vocabulary lacks
_STOPS = 4  # codes of the end that are learned behind a recording, as coqui pads it
_NONE = -1  # a target that counts for no loss


@dataclass(frozen=True)
class Shape(Kept):
    """Sizes of the GPT, and of what turns sound into its codes. Public constants of the base."""

    architecture = "xtts"

    layers: int = 30
    width: int = 1024
    heads: int = 16
    text_tokens: int = 6681
    start_text: int = 261
    stop_text: int = 0
    codes: int = 1024  # then one for the start, one for the stop
    text_longest: int = 402
    sound_longest: int = 605
    prompt_longest: int = 70
    autoencoder: int = 512  # channels of its first layer
    codebook: int = 512  # numbers of a code's vector


XTTS = Shape()


def tiny(shape: Shape) -> Shape:
    """The same model, small enough for a test: nothing of it is fit to be heard."""
    return replace(shape, layers=2, width=64, heads=2, codes=32, autoencoder=16, codebook=16)


@dataclass(frozen=True, eq=False)
class Coded:
    """One utterance, ready for the GPT."""

    ids: Tensor  # [T_text] int64
    codes: Tensor  # [T] int64
    audio: Tensor  # [about T * CODE] at 22.05 kHz


class Model(nn.Module):
    """The GPT, under the names that the base has for it, with coqui's step around it."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.stop = shape.codes + 1
        self.gpt = GPT(
            layers=shape.layers,
            model_dim=shape.width,
            heads=shape.heads,
            number_text_tokens=shape.text_tokens,
            start_text_token=shape.start_text,
            stop_text_token=shape.stop_text,
            num_audio_tokens=shape.codes + 2,
            start_audio_token=shape.codes,
            stop_audio_token=self.stop,
            max_text_tokens=shape.text_longest,
            max_mel_tokens=shape.sound_longest,
            max_prompt_tokens=shape.prompt_longest,
            code_stride_len=CODE,
            use_perceiver_resampler=True,
        )

    def get_criterion(self) -> None:
        """None: the losses are the GPT's own."""

    def train_step(self, batch: Mapping[str, Any], _: None = None, __: int | None = None) -> Any:
        """The losses of a batch: of the text, and of the sound outside of each example's own sample."""
        text_loss, _, logits = self.gpt(
            batch["text"],
            batch["text_lengths"],
            batch["codes"],
            batch["code_lengths"] * CODE,
            cond_mels=batch["samples"],
        )
        targets = self.targets(batch["codes"], batch["code_lengths"], batch["told"], logits.shape[-1])
        sound_loss = cross_entropy(logits, targets, ignore_index=_NONE)
        losses = {"loss_text_ce": TEXT_WEIGHT * text_loss, "loss_mel_ce": SOUND_WEIGHT * sound_loss}
        return {}, losses | {"loss": losses["loss_text_ce"] + losses["loss_mel_ce"]}

    def targets(self, codes: Tensor, lengths: Tensor, told: Tensor, longest: int) -> Tensor:
        """What follows each code, the end behind the last; nothing where an example was ``told``. [B, longest]"""
        found = codes.new_full((len(codes), longest), _NONE)
        for row, (own, length, (first, last)) in enumerate(
            zip(codes, lengths.tolist(), told.tolist(), strict=True)
        ):
            found[row, :length] = own[:length]
            found[row, length : length + _STOPS] = self.stop
            found[row, first:last] = _NONE
        return found


def vocabulary_of(base: Loaded) -> VoiceBpeTokenizer:
    """The base's BPE, from the text of its ``vocab.json``: in the tensor ``tokenizer``, byte by byte (what stands
    beside weights may have 64 KiB, and the published one is larger), or under that name in the metadata or the config.

    Raises RecipeError: it is a base of another model; or it brings no vocabulary, or one without the marks it needs.
    """
    if bases.name_of(base) != Shape.architecture:
        raise RecipeError("the base is of another model than XTTS", code="base.model")
    try:
        found = VoiceBpeTokenizer()
        found.tokenizer = Tokenizer.from_str(_vocabulary(base))
    except Exception:  # noqa: BLE001 - tokenizers raises bare exceptions
        raise RecipeError("the base brings no vocabulary", code="base.tokenizer") from None
    if None in (found.tokenizer.token_to_id("[START]"), found.tokenizer.token_to_id("[STOP]")):
        raise RecipeError("the base's vocabulary has no start or no stop", code="base.tokenizer")
    return found


def shape_of(tokenizer: VoiceBpeTokenizer, sizes: Shape = XTTS) -> Shape:
    """``sizes`` with what the vocabulary says of itself, as coqui has it."""
    return replace(
        sizes,
        text_tokens=tokenizer.get_number_tokens(),
        start_text=tokenizer.tokenizer.token_to_id("[START]"),
        stop_text=tokenizer.tokenizer.token_to_id("[STOP]"),
    )


def build(shape: Shape) -> Model:
    """The model with fresh weights from torch's global generator."""
    quiet()
    return Model(shape)


def load(shape: Shape, model: Model, base: Loaded) -> Ears:
    """Put the base's weights into ``model``; what turns sound into its codes.

    Raises RecipeError: it is a base of another model, or a tensor is missing or of another shape.
    """
    tensors = published.renamed(base.tensors, wrapped="xtts.")
    bases.load(model, Loaded(tensors, base.metadata), model_name=shape.architecture)
    return Ears(tensors, shape.codes, shape.autoencoder, shape.codebook)


def example(tokenizer: VoiceBpeTokenizer, ears: Ears, utterance: Utterance) -> Coded | None:
    """None for what does not fit: too long or too short to be learned from, or with signs that the base lacks.

    Raises RecipeError when the sample rate is not ours, or the base does not know the language.
    """
    if utterance.sample_rate != SAMPLE_RATE:
        raise RecipeError(f"this model wants {SAMPLE_RATE} Hz", code="recipe.sample_rate")
    read = ids(tokenizer, utterance.text, utterance.language)
    audio = resampled(torch.from_numpy(utterance.audio.copy()))
    fits = SHORTEST <= len(audio) <= LONGEST and 0 < len(read) <= TEXT_LONGEST
    return Coded(read, ears.codes(audio), audio) if fits and UNKNOWN not in read.tolist() else None


def examples(run: Run, tokenizer: VoiceBpeTokenizer, ears: Ears) -> list[Coded]:
    """Every utterance that fits; logs ``left_out``, how many do not.

    Raises:
        RecordError: a recording cannot be learned from (:mod:`sandbox.training.usable`).
        RecipeError: nothing is left.
    """
    heard = usable(run.stream(), Wanted(SAMPLE_RATE))
    kept = [found for found in (example(tokenizer, ears, one) for one in heard) if found is not None]
    run.log("left_out", 0, len(run.records) - len(kept))
    if not kept:
        raise RecipeError("no recording fits the base", code="recipe.no_examples")
    return kept


def ids(tokenizer: VoiceBpeTokenizer, text: str, language: str) -> Tensor:
    """Tokens of ``text`` behind that of its language. [T_text] int64. Raises RecipeError for a language it lacks."""
    try:
        return torch.tensor(tokenizer.encode(text.strip(), language), dtype=torch.long)
    except (
        NotImplementedError,
        ImportError,
    ):  # coqui knows no such language, or its program for it is not here
        raise RecipeError(
            "the base has not learned a language of the recordings", code="base.language"
        ) from None


def batch(ears: Ears, some: Sequence[Coded]) -> dict[str, Any]:
    """As ``train_step`` reads it. Each example's sample is drawn from itself, anew each time, by torch's generator."""
    told = [_part(len(e.audio)) for e in some]
    return {
        "text": pad_sequence([e.ids for e in some], batch_first=True),  # [B, T_text]
        "text_lengths": torch.tensor([len(e.ids) for e in some]),
        "codes": pad_sequence([e.codes for e in some], batch_first=True),  # [B, T]
        "code_lengths": torch.tensor([len(e.codes) for e in some]),
        "samples": torch.stack([ears.sample(e.audio[a:b]) for e, (a, b) in zip(some, told, strict=True)]),
        "told": torch.tensor(told) // CODE,  # [B, 2] codes
    }


def groups(model: Model, decay: float = 0.01) -> list[dict[str, Any]]:
    """Parameters for an optimizer: weights decay; biases, normalisations and embeddings do not."""
    whole = (nn.LayerNorm, nn.GroupNorm, nn.Embedding)
    weights, others = list[Tensor](), list[Tensor]()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            (others if name == "bias" or isinstance(module, whole) else weights).append(parameter)
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def restore(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> tuple[Shape, Model]:
    """A model that :func:`build` made and a run saved. It speaks beside its base, whose other parts it needs."""
    return restored(Shape.of(metadata), build, tensors)


def _part(length: int) -> tuple[int, int]:
    """Where in ``length`` samples the sample of the voice lies; half of what is too short for one."""
    part = int(torch.randint(SAMPLE_MIN, SAMPLE_MAX + 1, ()))
    part = part if part <= length else length // 2
    first = int(torch.randint(0, length - part + 1, ()))
    return first, first + part


def _vocabulary(base: Loaded) -> str:
    kept = base.tensors.get("tokenizer")
    if kept is not None:
        return bytes(kept.tolist()).decode()
    return base.metadata.get("tokenizer") or json.dumps(json.loads(base.metadata["config"])["tokenizer"])
