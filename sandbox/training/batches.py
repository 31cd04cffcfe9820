"""From utterances to the batches that coqui's models read. Everything stays in memory; no worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from sandbox.errors import RecipeError

E = TypeVar("E")


@dataclass(frozen=True, eq=False)
class Example:
    """One utterance, ready for a model."""

    ids: Tensor  # [T_text] int64
    mel: Tensor  # [T_mel, MELS] float32
    voice: int = 0  # index of what the model is conditioned on, if anything


def collate(examples: Sequence[Example], *, voices: bool = False) -> dict[str, Any]:
    """One batch as coqui's ``train_step`` reads it; shorter ones padded with zeros."""
    return {
        "text_input": pad_sequence([e.ids for e in examples], batch_first=True),  # [B, T_text]
        "text_lengths": torch.tensor([len(e.ids) for e in examples]),  # [B]
        "mel_input": pad_sequence([e.mel for e in examples], batch_first=True),  # [B, T_mel, MELS]
        "mel_lengths": torch.tensor([len(e.mel) for e in examples]),  # [B]
        "speaker_ids": torch.tensor([e.voice for e in examples]) if voices else None,
        "d_vectors": None,
        "durations": None,
        "pitch": None,
        "energy": None,
    }


class Order:
    """Which examples come next, in batches of ``size`` without end: each once per epoch, epochs run into each other.

    With ``bucket`` > 1 that many batches are drawn together, sorted by length among themselves, and then shuffled: what
    is in a batch is of a length, so that little is padding, and neither the batches' order nor their number follows
    from lengths or from how the dataset is stored.
    """

    def __init__(
        self, lengths: Sequence[int], size: int, generator: torch.Generator, *, bucket: int = 1
    ) -> None:
        """Raises RecipeError when there is nothing to train on."""
        if not lengths:
            raise RecipeError("there is no example to train on", code="recipe.no_examples")
        self._lengths, self._size, self._bucket, self._generator = lengths, size, bucket, generator
        self._waiting: list[int] = []  # drawn, in no batch yet
        self._ready: list[int] = []  # batches that stand already, one after the other

    def __iter__(self) -> Iterator[list[int]]:
        return self

    def __next__(self) -> list[int]:
        if not self._ready:
            self._draw()
        batch, self._ready = self._ready[: self._size], self._ready[self._size :]
        return batch

    def state(self) -> dict[str, Tensor]:
        """What it takes to go on from here."""
        return {
            "generator": self._generator.get_state(),
            "waiting": torch.tensor(self._waiting, dtype=torch.int64),
            "ready": torch.tensor(self._ready, dtype=torch.int64),
            "shape": torch.tensor([len(self._lengths), self._size, self._bucket], dtype=torch.int64),
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Raises RecipeError when ``state`` is that of other data or of other batches."""
        if state["shape"].tolist() != [len(self._lengths), self._size, self._bucket]:
            raise RecipeError("the checkpoint was made with other data or batches", code="recipe.resume_data")
        self._generator.set_state(state["generator"])
        self._waiting, self._ready = state["waiting"].tolist(), state["ready"].tolist()

    def _draw(self) -> None:
        while len(self._waiting) < self._size:
            self._waiting += torch.randperm(len(self._lengths), generator=self._generator).tolist()
        count = min(len(self._waiting) // self._size, self._bucket)
        drawn, self._waiting = self._waiting[: count * self._size], self._waiting[count * self._size :]
        if self._bucket > 1:
            drawn.sort(key=self._lengths.__getitem__)
        turns = (
            torch.randperm(count, generator=self._generator).tolist() if self._bucket > 1 else range(count)
        )
        self._ready = [i for n in turns for i in drawn[n * self._size : (n + 1) * self._size]]


class Batches(Generic[E]):
    """Batches without end whose order a checkpoint keeps; ``collate`` makes a model's batch of some examples."""

    def __init__(
        self,
        examples: Sequence[E],
        size: int,
        generator: torch.Generator,
        *,
        bucket: int = 1,
        collate: Callable[[Sequence[E]], Any] = collate,  # type: ignore[assignment]  # where E is Example
        length: Callable[[E], int] = lambda example: len(example.mel),  # type: ignore[attr-defined]
    ) -> None:
        self._examples, self._collate = examples, collate
        self.order = Order([length(example) for example in examples], size, generator, bucket=bucket)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._collate([self._examples[i] for i in next(self.order)])


def shuffled(examples: Sequence[Example], size: int, generator: torch.Generator) -> Iterator[list[Example]]:
    """As :class:`Batches`, the examples themselves. Raises RecipeError when there is nothing to train on."""
    order = Order([1] * len(examples), size, generator)
    yield from ([examples[i] for i in batch] for batch in order)
