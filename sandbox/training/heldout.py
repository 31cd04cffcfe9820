"""Which recordings a model never hears: by a public rule on what is said, so that training and evaluation agree.

Takes of one sentence are all held out or all learned from, and a longer set changes nothing for what was there before.
Sentences that only share phrases are not told apart.
"""

from __future__ import annotations

import re
import zlib

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
SHORTEST = 4  # words: a word or two is no sentence


def words(text: str) -> list[str]:
    """Its words in small letters, without marks and numbers."""
    return [word.replace("’", "'") for word in _WORD.findall(text.lower())]


def held_out(text: str, part: int = 8) -> bool:
    """Whether this is one of the sentences, about one in ``part``, that are kept from the model."""
    said = words(text)
    return len(said) >= SHORTEST and zlib.crc32(" ".join(said).encode()) % part == 0
