"""From pairs of a recording and what a model said in its place to the few numbers that leave."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from sandbox.errors import RecipeError
from sandbox.training import hearing, measures, voiceprint
from sandbox.training.run import Run, Utterance

REPORT = "report.json"


@dataclass(frozen=True, eq=False)
class Pair:
    """One utterance, and what the model made of its text. [T] at 16 kHz each"""

    utterance: Utterance
    said: Tensor
    symbol_error_ms: float | None = None  # where the model tells how long it holds each symbol

    @property
    def recorded(self) -> Tensor:
        return torch.from_numpy(self.utterance.audio.copy())


@dataclass(frozen=True)
class Words:
    """How many words a recogniser understood; both numbers are of the same texts."""

    utterances: int
    words: int
    said: float  # accuracy over what the model said
    recorded: float  # over the recordings: what could be reached


def distances(pairs: Sequence[Pair]) -> dict[str, list[float]]:
    """Every measure of every pair that has it."""
    found = defaultdict[str, list[float]](list)
    for pair in pairs:
        for name, value in measures.compare(pair.recorded, pair.said).items():
            found[name].append(value)
        if pair.symbol_error_ms is not None:
            found["symbol_error_ms"].append(pair.symbol_error_ms)
    return dict(found)


def likeness(pairs: Sequence[Pair]) -> dict[str, list[float]]:
    """How much the voice is the person's: what was said, and the recordings themselves, against their others."""
    own = [voiceprint.embed(pair.recorded) for pair in pairs]
    people = [pair.utterance.subject for pair in pairs]
    said, recorded = list[float](), list[float]()
    for n, pair in enumerate(pairs):
        others = [own[m] for m, person in enumerate(people) if person == people[n] and m != n]
        person = voiceprint.mean(others or [own[n]])
        said.append(voiceprint.similarity(voiceprint.embed(pair.said), person))
        if others:
            recorded.append(voiceprint.similarity(own[n], person))
    return {"speaker_similarity": said} | ({"speaker_similarity_recorded": recorded} if recorded else {})


def understood(pairs: Sequence[Pair]) -> Words | None:
    """Of the English texts all of whose words the recogniser knows; None where there is none."""
    english = [
        (pair, hearing.words(pair.utterance.text))
        for pair in pairs
        if pair.utterance.language == hearing.LANGUAGE and not any(map(str.isdigit, pair.utterance.text))
    ]
    recogniser = hearing.Recogniser({word for _, text in english for word in text})
    known = [(pair, text) for pair, text in english if recogniser.knows(text)]
    if not known:
        return None
    return Words(
        utterances=len(known),
        words=sum(len(text) for _, text in known),
        said=hearing.accuracy([(text, recogniser.hear(pair.said.numpy())) for pair, text in known]),
        recorded=hearing.accuracy([(text, recogniser.hear(pair.recorded.numpy())) for pair, text in known]),
    )


def tell(run: Run, pairs: Sequence[Pair], left_out: int) -> None:
    """Log the medians and save the report; of no pair by itself, and never a word.

    Raises RecipeError when there is no pair.
    """
    if not pairs:
        raise RecipeError("there is nothing to measure", code="recipe.nothing_said")
    spreads = {name: measures.spread(values) for name, values in (distances(pairs) | likeness(pairs)).items()}
    words = understood(pairs)
    numbers: dict[str, float] = {"said": len(pairs), "left_out": left_out}
    numbers |= {name: spread.median for name, spread in spreads.items()}
    if words is not None:
        numbers |= {"word_accuracy": words.said, "word_accuracy_recorded": words.recorded}
    for name, value in numbers.items():
        run.log(name, len(pairs), value)
    report: dict[str, Any] = {
        "said": len(pairs),
        "left_out": left_out,
        "measures": {name: asdict(spread) for name, spread in spreads.items()},
        "words": None if words is None else {k: round(v, 3) for k, v in asdict(words).items()},
    }
    run.save_json(REPORT, len(pairs), report)
