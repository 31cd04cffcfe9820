"""From utterances to the batches that coqui's models read. Everything stays in memory; no worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sandbox.errors import RecipeError
from sandbox.training.sound import MELS


@dataclass(frozen=True, eq=False)
class Example:
    """One utterance, ready for a model."""

    ids: Tensor  # [T_text] int64
    mel: Tensor  # [T_mel, MELS] float32
    voice: int = 0  # index of what the model is conditioned on, if anything


def collate(examples: Sequence[Example], *, voices: bool = False) -> dict[str, Any]:
    """One batch as coqui's ``train_step`` reads it; shorter ones padded with zeros."""
    text_lengths = torch.tensor([len(e.ids) for e in examples])  # [B]
    mel_lengths = torch.tensor([len(e.mel) for e in examples])  # [B]
    text = torch.zeros(len(examples), int(text_lengths.max()), dtype=torch.long)  # [B, T_text]
    mel = torch.zeros(len(examples), int(mel_lengths.max()), MELS)  # [B, T_mel, MELS]
    for row, e in enumerate(examples):
        text[row, : len(e.ids)] = e.ids
        mel[row, : len(e.mel)] = e.mel
    return {
        "text_input": text,
        "text_lengths": text_lengths,
        "mel_input": mel,
        "mel_lengths": mel_lengths,
        "speaker_ids": torch.tensor([e.voice for e in examples]) if voices else None,
        "d_vectors": None,
        "durations": None,
        "pitch": None,
        "energy": None,
    }


def shuffled(examples: Sequence[Example], size: int, generator: torch.Generator) -> Iterator[list[Example]]:
    """Batches of ``size`` without end: every example once per epoch, epochs run into each other.

    Raises RecipeError when there is nothing to train on.
    """
    if not examples:
        raise RecipeError("there is no example to train on", code="recipe.no_examples")
    waiting: list[int] = []
    while True:
        while len(waiting) < size:
            waiting += torch.randperm(len(examples), generator=generator).tolist()
        yield [examples[i] for i in waiting[:size]]
        del waiting[:size]
