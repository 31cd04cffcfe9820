"""Whether a recording can be learned from: asked before training, answered by the record's id and never by its content.

A code such as ``record.silent:u00017`` leaves the container (:mod:`sandbox.training.redaction` lets only ids of the
run's own records pass); sound and words never do. Under differential privacy not even that: the engine takes such a
person for nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from sandbox.errors import RecordError
from sandbox.training.run import Utterance

SILENT = 1e-3  # peak below which nothing was said: -60 dB of full scale
FULL = 0.999  # magnitude from which a sample touches the end of its range
CLIPPED = 0.01  # part of all samples that may; a clean recording has none, a loud one a few


@dataclass(frozen=True)
class Wanted:
    """What a model can take. Public constants of the recipe."""

    sample_rate: int
    shortest_s: float = 0.1
    longest_s: float = 30.0
    characters: Collection[str] | None = None  # that a transcript may hold; None: any


def check(utterance: Utterance, wanted: Wanted) -> None:
    """Raises RecordError, whose code says what is wrong and whose record says with which."""
    if fault := fault_of(utterance, wanted):
        raise RecordError.of(utterance.record, f"record.{fault}")


def fault_of(utterance: Utterance, wanted: Wanted) -> str:
    """The first fault, in one word; empty where there is none."""
    seconds, loud = len(utterance.audio) / utterance.sample_rate, np.abs(utterance.audio)
    if utterance.sample_rate != wanted.sample_rate:
        return "sample_rate"
    if seconds < wanted.shortest_s:
        return "too_short"
    if seconds > wanted.longest_s:
        return "too_long"
    if not np.isfinite(loud).all() or float(loud.max()) < SILENT:
        return "silent"
    if float((loud >= FULL).mean()) > CLIPPED:
        return "clipped"
    if wanted.characters is not None and not set(utterance.text.lower()) <= set(wanted.characters):
        return "symbols"
    return ""


def usable(utterances: Iterable[Utterance], wanted: Wanted) -> Iterator[Utterance]:
    """``utterances`` as they are. Raises RecordError at the first that cannot be learned from."""
    for utterance in utterances:
        check(utterance, wanted)
        yield utterance
