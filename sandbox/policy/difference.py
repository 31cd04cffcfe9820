"""What a new version of an agreement allows and forbids that the old one did not: pure, field by field.

Every change says which way it goes. Which way a field goes stands in ``readings``; a field that has none there counts
as allowing more (default deny 2). V24: what allows more needs both parties' signatures.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sandbox.policy.directions import Effect, effect
from sandbox.policy.documents import Model
from sandbox.policy.fields import Duration
from sandbox.policy.readings import NAMED, READINGS, Reading, Sense
from sandbox.policy.terms import DatasetTerms, Terms
from sandbox.runs import utc


@dataclass(frozen=True)
class Change:
    """One thing that the versions say differently. ``old`` and ``new`` are as in JSON; null where it is not said.

    ``path`` names the field, entries of lists by their names: ``datasets[digits].retention.until``.
    """

    path: str
    old: Any
    new: Any
    effect: Effect
    words: str


@dataclass(frozen=True)
class _Place:
    """Where a comparison is: the path, and whose part it is in words (``dataset digits: ``)."""

    path: str = ""
    of: str = ""

    @property
    def reading(self) -> Reading | None:
        return READINGS.get(re.sub(r"\[[^]]*\]", "[]", self.path))

    def field(self, name: str) -> _Place:
        return _Place(f"{self.path}.{name}" if self.path else name, self.of)

    def entry(self, name: str) -> _Place:
        found = _Place(f"{self.path}[{re.sub(r'[][]', '_', name)}]", self.of)
        called = found.reading.what if found.reading else self.path
        return _Place(found.path, f"{self.of}{called} {name}: ")

    def change(self, old: object, new: object, way: Effect, words: str, of: str | None = None) -> Change:
        return Change(self.path, _plain(old), _plain(new), way, (self.of if of is None else of) + words)


def differences(old: Terms, new: Terms) -> tuple[Change, ...]:
    """Every change, in the order of the fields; empty when both say the same."""
    return tuple(_compare(_Place(), old, new))


def _compare(at: _Place, old: object, new: object) -> Iterator[Change]:
    if old == new:
        return
    if isinstance(old, Model) and type(old) is type(new):
        for name, field in type(old).model_fields.items():
            yield from _compare(at.field(field.alias or name), getattr(old, name), getattr(new, name))
    elif isinstance(old, tuple) and isinstance(new, tuple):
        yield from _lists(at, old, new)
    else:
        yield _value(at, old, new)


def _lists(at: _Place, old: tuple[Any, ...], new: tuple[Any, ...]) -> Iterator[Change]:
    kinds = {type(entry) for entry in (*old, *new)}
    if len(kinds) == 1 and (key := NAMED.get(kinds.pop())):
        yield from _entries(at, _named(old, key), _named(new, key))
        return
    reading = at.reading
    if reading is None or reading.sense not in _VERBS:
        yield _unread(at, old, new)
        return
    for member in _once(old, new):
        yield _comes_or_goes(at, reading, None, member, f" {_say(member)}")
    for member in _once(new, old):
        yield _comes_or_goes(at, reading, member, None, f" {_say(member)}")


def _entries(at: _Place, old: dict[str, Model], new: dict[str, Model]) -> Iterator[Change]:
    for name in dict.fromkeys((*old, *new)):
        here, before, after = at.entry(name), old.get(name), new.get(name)
        if before is not None and after is not None:
            yield from _compare(here, before, after)
        elif here.reading is None or here.reading.sense not in _VERBS:
            yield _unread(here, before, after)
        else:
            yield _comes_or_goes(here, here.reading, after, before, f" {name}{_about(after)}", of=at.of)


def _value(at: _Place, old: object, new: object) -> Change:
    reading = at.reading
    if reading is None:
        return _unread(at, old, new)
    if reading.sense in _VERBS:
        if isinstance(old, bool) and isinstance(new, bool):
            return _comes_or_goes(at, reading, new, old, "")
        if (old is None) != (new is None):
            return _comes_or_goes(at, reading, new, old, "")
        return _unread(at, old, new)
    way = effect(reading, old, new)
    if way is None:
        return _unread(at, old, new)
    return at.change(old, new, way, f"{reading.what}: {_say(new)}, was {_say(old)}")


_VERBS = {Sense.ALLOWED: "allows", Sense.FORBIDDEN: "forbids", Sense.DEMANDED: "demands"}


def _comes_or_goes(
    at: _Place, reading: Reading, new: object, old: object, who: str, of: str | None = None
) -> Change:
    """A permission, prohibition or demand that is there in one version only."""
    comes = bool(new) if isinstance(new, bool) else new is not None
    widens = comes == (reading.sense is Sense.ALLOWED)
    verb = _VERBS[reading.sense]
    words = f"{verb if comes else f'no longer {verb}'} {f'{reading.what}{who}'.strip()}"
    return at.change(old, new, Effect.WIDENS if widens else Effect.NARROWS, words, of)


def _unread(at: _Place, old: object, new: object) -> Change:
    words = f"{_say(new)}, was {_say(old)}; which way it goes cannot be told, so it counts as allowing more"
    return at.change(old, new, Effect.WIDENS, words)


def _named(entries: Sequence[Model], key: str) -> dict[str, Model]:
    """Entries by name; a second one of a name is another entry, so that it is not overlooked."""
    seen: Counter[str] = Counter()
    found = {}
    for entry in entries:
        name = str(getattr(entry, key))
        seen[name] += 1
        found[name if seen[name] == 1 else f"{name} #{seen[name]}"] = entry
    return found


def _once(these: tuple[Any, ...], others: tuple[Any, ...]) -> list[Any]:
    return [entry for entry in dict.fromkeys(these) if entry not in others]


def _about(entry: Model | None) -> str:
    """What a dataset that comes new may be used for."""
    if not isinstance(entry, DatasetTerms):
        return ""
    return (
        f", for {_say(entry.purposes)}, in {_say(entry.storage.regions)}, until {_say(entry.retention.until)}"
    )


def _say(value: object) -> str:
    if value is None or value == ():
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(_say, value))
    if isinstance(value, float):
        return f"{value:g}"
    return str(_plain(value))


def _plain(value: object) -> Any:
    if isinstance(value, Model):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, Duration):
        return value.text
    if isinstance(value, datetime):
        return utc(value)
    if isinstance(value, date):
        return value.isoformat()
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value
