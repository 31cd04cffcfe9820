"""One spelling of a text for its scanners: full-width forms made plain, spoken digits made digits, places kept.

"一三八" and "one three eight" are read out in recordings as often as "138" is written.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_HAN = dict(zip("〇零一二三四五六七八九幺两", "0012345678912", strict=True))
_WORDS = {
    "zero": "0", "oh": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7",
    "eight": "8", "nine": "9", "null": "0", "eins": "1", "zwei": "2", "zwo": "2", "drei": "3", "vier": "4", "fünf": "5",
    "sechs": "6", "sieben": "7", "acht": "8", "neun": "9", "cero": "0", "uno": "1", "dos": "2", "tres": "3",
    "cuatro": "4", "cinco": "5", "seis": "6", "siete": "7", "ocho": "8", "nueve": "9", "zéro": "0", "un": "1",
    "deux": "2", "trois": "3", "quatre": "4", "cinq": "5", "sept": "7", "huit": "8", "neuf": "9",
}  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+")
_SHORTEST = 5  # digit words in a row; fewer are counting, not a number


@dataclass(frozen=True)
class Spelled:
    """``text`` to scan; of each of its characters the place in the original, ``[start, end)``."""

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def original(self, start: int, end: int) -> tuple[int, int]:
        return self.starts[start], self.ends[end - 1]


def spelled(text: str) -> Spelled:
    words = _digit_words(text)
    marks, starts, ends = [], [], []
    at = 0
    while at < len(text):
        if at in words:
            end, digit = words[at]
            said = digit
        else:
            end = at + 1
            said = _HAN.get(text[at]) or unicodedata.normalize("NFKC", text[at])
        for mark in said:
            marks.append(mark)
            starts.append(at)
            ends.append(end)
        at = end
    return Spelled("".join(marks), tuple(starts), tuple(ends))


def _digit_words(text: str) -> dict[int, tuple[int, str]]:
    """Start -> (end, digit) of digit words in runs; the gap behind a word goes with it."""
    found: dict[int, tuple[int, str]] = {}
    run: list[re.Match[str]] = []
    for word in [*_WORD.finditer(text), None]:
        follows = word is not None and (
            not run or re.fullmatch(r"[ ,.-]{1,3}", text[run[-1].end() : word.start()])
        )
        if word is not None and word[0].lower() in _WORDS and follows:
            run.append(word)
            continue
        if len(run) >= _SHORTEST:
            for this, behind in zip(run, [*run[1:], None], strict=True):
                found[this.start()] = (behind.start() if behind else this.end(), _WORDS[this[0].lower()])
        run = [word] if word is not None and word[0].lower() in _WORDS else []
    return found
