"""From the utterances of a run to a model's examples: who is which voice, and what cannot be learned from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from torch import Tensor

from sandbox.errors import RecipeError
from sandbox.training.run import Record, Run, Utterance
from sandbox.training.sound import SAMPLE_RATE
from sandbox.training.usable import Wanted, usable

HEARD = Wanted(SAMPLE_RATE)  # any text: espeak-ng says what can be said of it


class Aligned(Protocol):
    @property
    def ids(self) -> Tensor: ...
    @property
    def mel(self) -> Tensor: ...


E = TypeVar("E", bound=Aligned)


def voices(records: Sequence[Record], rows: int) -> Mapping[str, int]:
    """Each person's row in a table of ``rows``: people by pseudonym, in order. One row is everybody's.

    Raises RecipeError when there are more people than rows.
    """
    people = sorted({record.subject for record in records})
    if rows == 1:
        return dict.fromkeys(people, 0)
    if len(people) > rows:
        raise RecipeError(
            f"{len(people)} people speak, and the model has {rows} voices",
            code="recipe.voices",
            mend=f"-p voices={len(people)}",
        )
    return {person: row for row, person in enumerate(people)}


def aligns(example: Aligned) -> bool:
    """Whether text and sound can be aligned. The search for an alignment checks no bounds: ask this first."""
    return 2 < len(example.ids) < len(example.mel)


def alone(example: E) -> E:
    """The one example of a loss. Raises RecipeError when it does not align; a private engine takes it for silence."""
    if not aligns(example):
        raise RecipeError("a recording is too short for its text", code="recipe.no_examples")
    return example


def examples(
    run: Run,
    make: Callable[[Utterance, int], E],
    rows: int = 1,
    wanted: Wanted = HEARD,
    learned: Callable[[Utterance], bool] = lambda _: True,
) -> list[E]:
    """Every ``learned`` utterance as ``make(utterance, voice)`` has it; logs ``left_out`` where the card has it.

    Left out is what is not ``learned``, and what has more symbols than frames (:func:`aligns`). No other record ever
    takes a place (coqui's ``rescue_item_idx`` would).

    Raises:
        RecordError: a recording cannot be learned from (:mod:`sandbox.training.usable`).
        RecipeError: nothing is left.
    """
    row = voices(run.records, rows)
    heard = (utterance for utterance in usable(run.stream(), wanted) if learned(utterance))
    made = (make(utterance, row[utterance.subject]) for utterance in heard)
    kept = [example for example in made if aligns(example)]
    if run.declares("left_out"):
        run.log("left_out", 0, len(run.records) - len(kept))
    if not kept:
        raise RecipeError("every recording is too short for its text", code="recipe.no_examples")
    return kept
