"""What a model loses on one person's recordings: all that an attack on membership reads of it. Nothing is learned.

Durations give a voice model away first: they are predicted from the text alone, so what it knows of a speaker's own
timing it knows from training. The recipe is not told who was in; the gate judges (``sandbox/policy/membership.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sandbox.errors import RecipeError
from sandbox.training import corpus, fastpitch, glowtts, vits
from sandbox.training.run import Record, Utterance

DURATION = ("loss_dur", "loss_duration")  # as coqui's models call it


@dataclass(frozen=True)
class Losses:
    """Of an utterance, or of a person on average. Lower where the model learned from it."""

    duration: float
    total: float


Attacked = Callable[[Utterance], Losses | None]


def attacked(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Attacked:
    """One forward pass an utterance, with the model's own aligner; None where a recording has no alignment.

    A model with a table of voices is asked with each of its rows and the least loss counts: nobody who attacks knows
    which row is whose, and who was not in has none.

    Raises RecipeError when this architecture is not known here.
    """
    family = _FAMILIES.get(metadata.get("architecture", ""))
    if family is None:
        raise RecipeError(
            "this model cannot be attacked here: fastpitch, glowtts or vits can", code="recipe.model_shape"
        )
    return family(tensors, metadata)


def places(records: Iterable[Record]) -> dict[str, int]:
    """Each person's place among the pseudonyms in order: what a score is told by."""
    return {person: place for place, person in enumerate(sorted({record.subject for record in records}))}


def mean(found: Sequence[Losses]) -> Losses:
    return Losses(
        math.fsum(one.duration for one in found) / len(found),
        math.fsum(one.total for one in found) / len(found),
    )


def _attack(
    example: Callable[[Utterance], Any], step: Callable[[Any], Mapping[str, Any]], rows: int
) -> Attacked:
    def losses(utterance: Utterance) -> Losses | None:
        given = example(utterance)
        if not corpus.aligns(given):
            return None
        found = [_losses(step, replace(given, voice=row)) for row in range(max(1, rows))]
        least = Losses(min(one.duration for one in found), min(one.total for one in found))
        return least if math.isfinite(least.duration) and math.isfinite(least.total) else None

    return losses


def _losses(step: Callable[[Any], Mapping[str, Any]], given: Any) -> Losses:
    """The same noise for everybody, where a model draws some."""
    torch.manual_seed(0)
    with torch.no_grad():
        told = step(given)
    duration = next(told[name] for name in DURATION if name in told)
    return Losses(float(duration), float(told["loss"]))


def _fastpitch(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Attacked:
    shape, model = fastpitch.restore(tensors, metadata)
    criterion = model.get_criterion()

    def step(given: Any) -> Any:
        return model.train_step(fastpitch.batch([given], voices=shape.voices > 0), criterion)[1]

    return _attack(lambda heard: fastpitch.example(shape, heard), step, shape.voices)


def _glowtts(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Attacked:
    shape, model = glowtts.restore(tensors, metadata)
    criterion = model.get_criterion()

    def step(given: Any) -> Any:
        return model.train_step(glowtts.batch(shape, [given]), criterion)[1]

    return _attack(lambda heard: glowtts.example(shape, heard), step, shape.voices)


def _vits(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Attacked:
    shape, model = vits.restore(tensors, metadata)
    criterion = model.get_criterion()

    def step(given: Any) -> Any:
        batch = vits.batch(shape, [given])
        model.train_step(batch, criterion, vits.DISCRIMINATOR)  # the next one reads what this one made
        return model.train_step(batch, criterion, vits.GENERATOR)[1]

    return _attack(lambda heard: vits.example(shape, heard), step, shape.voices)


_FAMILIES: Mapping[str, Callable[[Mapping[str, Tensor], Mapping[str, str]], Attacked]] = {
    "fastpitch": _fastpitch,
    "glowtts": _glowtts,
    "vits": _vits,
}
