"""What a recogniser understands that never met the voice: pocketsphinx with its own American English model.

It chooses among the words of a given vocabulary, so it hears better than one that must know all words: its numbers
compare models, and recordings with models, over the same texts; they are not what a person would understand.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
from pocketsphinx import Decoder

from sandbox.training.sound import SAMPLE_RATE

LANGUAGE = "en"
_QUIET = 0.2  # seconds before and after
_ROOM = 1e-3  # a room's noise, -60 dB: digital silence upsets the recogniser
_ANOTHER = 1e-3  # how likely one more word is: with pocketsphinx's 0.65 one recorded word is heard as two
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")


def words(text: str) -> list[str]:
    """The words of an English text as a dictionary spells them."""
    return _WORD.findall(text.lower().replace("’", "'"))


class Recogniser:
    """Any number of the words of ``vocabulary``, in any order; those that its dictionary lacks are left out."""

    def __init__(self, vocabulary: Collection[str]) -> None:
        decoder = _decoder()
        self.vocabulary = frozenset(word for word in vocabulary if decoder.lookup_word(word))
        some = " | ".join(sorted(self.vocabulary))
        self._grammar = f"#JSGF V1.0;\ngrammar words;\npublic <said> = <word>+;\n<word> = {some};\n"

    def knows(self, said: Collection[str]) -> bool:
        """Whether each of these words can be heard."""
        return bool(said) and set(said) <= self.vocabulary

    def hear(self, sound: npt.NDArray[np.float32]) -> list[str]:
        """The words in a sound [T] at 16 kHz; a fresh recogniser each time, which learned nothing from the last."""
        decoder = _decoder()
        decoder.add_jsgf_string("words", self._grammar)
        decoder.activate_search("words")
        pad = np.zeros(int(_QUIET * SAMPLE_RATE), dtype=np.float32)
        audio = np.concatenate([pad, sound, pad])
        audio += _ROOM * np.random.default_rng(0).standard_normal(len(audio)).astype(np.float32)
        decoder.start_utt()
        decoder.process_raw((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
        decoder.end_utt()
        return [_plain(word) for word in decoder.hyp().hypstr.split()] if decoder.hyp() else []


def edits(wanted: Sequence[str], heard: Sequence[str]) -> int:
    """The fewest words that must be put in, taken out or replaced (Levenshtein 1966)."""
    row = list(range(len(heard) + 1))
    for n, word in enumerate(wanted, 1):
        before, row[0] = row[0], n
        for m, other in enumerate(heard, 1):
            before, row[m] = row[m], min(row[m] + 1, row[m - 1] + 1, before + (word != other))
    return row[-1]


def accuracy(pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> float:
    """One minus the word error rate over all ``(wanted, heard)``, and never below 0."""
    return max(0.0, 1 - sum(edits(*pair) for pair in pairs) / sum(len(wanted) for wanted, _ in pairs))


def _plain(word: str) -> str:
    """Without the number of its pronunciation: ``read(2)`` is ``read``."""
    return word.partition("(")[0]


def _decoder() -> Decoder:
    return Decoder(samprate=SAMPLE_RATE, lm=None, wip=_ANOTHER, loglevel="FATAL")
