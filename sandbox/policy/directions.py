"""Which way a value goes when it changes: to more, to less, or nowhere. Pure; None where it cannot be told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import StrEnum

from sandbox.policy.fields import Duration
from sandbox.policy.readings import Reading, Sense


class Effect(StrEnum):
    """Which way a change goes, seen from whoever uses the data."""

    WIDENS = "widens"
    NARROWS = "narrows"
    NEITHER = "neither"


def effect(reading: Reading, old: object, new: object) -> Effect | None:
    """What it means that a field of this reading says ``new`` where it said ``old``; None: it cannot be told."""
    found = _EFFECTS.get(reading.sense)
    return None if found is None else found(reading, old, new)


def _most(_: Reading, old: object, new: object) -> Effect | None:
    rise = _rise(old, new)
    if rise is None:
        return None
    return Effect.NEITHER if rise == 0 else Effect.WIDENS if rise > 0 else Effect.NARROWS


def _least(_: Reading, old: object, new: object) -> Effect | None:
    return _most(_, new, old)


def _ranked(reading: Reading, old: object, new: object) -> Effect:
    """Of two words that are not ranked none is the stricter one."""
    ranks = {word: n for n, word in enumerate(reading.ranks)}
    before, after = (ranks.get(str(value), len(ranks)) for value in (old, new))
    return Effect.NARROWS if after < before else Effect.WIDENS


_EFFECTS: Mapping[Sense, Callable[[Reading, object, object], Effect | None]] = {
    Sense.MOST: _most,
    Sense.LEAST: _least,
    Sense.RANKED: _ranked,
    Sense.SAID: lambda *_: Effect.NEITHER,
}


def _rise(old: object, new: object) -> int | None:
    """1, 0 or -1; None where it cannot be told: a month against thirty days depends on the month."""
    if isinstance(old, Duration) and isinstance(new, Duration):
        steps = {_sign(new.months - old.months), _sign(new.seconds - old.seconds)} - {0}
        return None if len(steps) == 2 else next(iter(steps), 0)
    if isinstance(old, datetime) and isinstance(new, datetime):
        return _sign((new - old).total_seconds())
    if isinstance(old, date) and isinstance(new, date):
        return _sign((new - old).days)
    if isinstance(old, int | float) and isinstance(new, int | float):
        return _sign(new - old)
    return None


def _sign(number: float) -> int:
    return (number > 0) - (number < 0)
