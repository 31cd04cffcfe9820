"""Names of people, Chinese (in characters and in pinyin) and European: by list, by title, by what is said before."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from sandbox.client.screening.gazetteer import (
    GIVEN_HAN,
    GIVEN_LATIN,
    SAID_BEFORE,
    SAID_BEFORE_HAN,
    SURNAMES_HAN,
    SURNAMES_HAN_DOUBLE,
    SURNAMES_PINYIN,
    TITLES,
    TITLES_HAN,
)

_CAPITAL = r"[A-ZÀ-ÖØ-ÞŁŚŻŹČŠŽĐŐŰ][\w'’-]*"
_SURNAME = f"(?:{'|'.join(SURNAMES_HAN_DOUBLE)}|[{''.join(sorted(SURNAMES_HAN))}])"
_HAN = r"[\u4e00-\u9fff]"
_LISTED_HAN = re.compile(rf"{_SURNAME}[{''.join(sorted(GIVEN_HAN))}]{{1,2}}")
_TITLED_HAN = re.compile(rf"({_SURNAME}{_HAN}{{0,2}}?)(?:{TITLES_HAN})")
_TOLD_HAN = re.compile(rf"(?:{SAID_BEFORE_HAN})[:：,，是 ]*({_SURNAME}{_HAN}{{1,2}})")
_TITLED = re.compile(rf"\b(?:{TITLES})\b\.? ((?:{_CAPITAL} ?){{1,3}})")
_TOLD = re.compile(rf"\b(?i:{SAID_BEFORE})[:,]? ((?:{_CAPITAL} ?){{1,3}})")
_WORDS = re.compile(rf"{_CAPITAL}(?: {_CAPITAL})*")


_SPOKEN = re.compile(r"[^\W\d_]+")
_MOST_WORDS = 5  # of a name
_HAN_LENGTHS = (2, 3, 4)


def known_names(speakers: Iterable[str]) -> frozenset[str]:
    """The names among a folder's speakers, to be looked for in all its transcripts. A number or an id is no name."""
    return frozenset(
        " ".join(_SPOKEN.findall(name.lower()))
        for name in speakers
        if not any(mark.isdigit() for mark in name) and sum(mark.isalpha() for mark in name) > 1
    )


def names(text: str, known: frozenset[str] = frozenset()) -> Iterator[tuple[int, int]]:
    """Where one stands. ``known``: from :func:`known_names`, found whatever their case."""
    for form in (_TITLED_HAN, _TOLD_HAN, _TITLED, _TOLD):
        for found in form.finditer(text):
            yield found.start(1), found.start(1) + len(found[1].rstrip())
    yield from (found.span() for found in _LISTED_HAN.finditer(text))
    for found in _WORDS.finditer(text):
        words = found[0].split(" ")
        if any(_listed(word) for word in words) or _pinyin(words):
            yield found.span()
    yield from _known(text, known) if known else ()


def _known(text: str, known: frozenset[str]) -> Iterator[tuple[int, int]]:
    """By words, and in Chinese by characters: ten thousand names cost no more than one."""
    words = list(_SPOKEN.finditer(text))
    for first, word in enumerate(words):
        for last in range(first, min(first + _MOST_WORDS, len(words))):
            if " ".join(found[0].lower() for found in words[first : last + 1]) in known:
                yield word.start(), words[last].end()
    for start in range(len(text)):
        for length in _HAN_LENGTHS:
            if "\u4e00" <= text[start] <= "\u9fff" and text[start : start + length] in known:
                yield start, start + length


def _listed(word: str) -> bool:
    return any(part in GIVEN_LATIN for part in re.split(r"['’]s$|-", word.lower()) if part)


def _pinyin(words: list[str]) -> bool:
    """A surname with a given name before or behind it; alone it could be any word."""
    return len(words) > 1 and (words[0].lower() in SURNAMES_PINYIN or words[-1].lower() in SURNAMES_PINYIN)
