"""All scanners over one text, and a text without what they found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sandbox.client.screening.names import names
from sandbox.client.screening.numbers import identity_numbers
from sandbox.client.screening.reach import addresses, emails, phones
from sandbox.client.screening.spelling import spelled

VERSION = "screening/1"


class Hit(NamedTuple):
    """Something found: its kind and its place in the text, ``[start, end)``."""

    kind: str
    start: int
    end: int


def screen(text: str, known: frozenset[str] = frozenset()) -> list[Hit]:
    """Every hit, in order and without overlap; of two kinds at one place the more certain one is told.

    ``known``: names to look for besides, such as those of the speakers (``known_names``).
    """
    read = spelled(text)
    taken: list[Hit] = []
    for kind, scan in (
        ("email", emails),
        ("id_number", identity_numbers),
        ("phone", phones),
        ("address", addresses),
    ):
        _take(taken, kind, (read.original(*place) for place in scan(read.text)))
    _take(taken, "name", names(text, known))
    return sorted(taken, key=lambda hit: hit.start)


def redacted(text: str, hits: Iterable[Hit]) -> str:
    """``text`` with each hit replaced by its kind in brackets."""
    for hit in sorted(hits, key=lambda hit: -hit.start):
        text = f"{text[: hit.start]}[{hit.kind.replace('_', ' ')}]{text[hit.end :]}"
    return text


def _take(taken: list[Hit], kind: str, places: Iterable[tuple[int, int]]) -> None:
    """The longest first; what overlaps with hits before makes one with them, of the first one's kind."""
    for start, end in sorted(places, key=lambda place: place[0] - place[1]):
        met = [hit for hit in taken if start < hit.end and hit.start < end]
        for hit in met:
            taken.remove(hit)
        first = met[0].kind if met else kind
        taken.append(
            Hit(first, min([start, *(hit.start for hit in met)]), max([end, *(hit.end for hit in met)]))
        )
