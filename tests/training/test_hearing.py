"""The recogniser and its arithmetic: known edit distances, and real words that it understands."""

from __future__ import annotations

import numpy as np
import pytest

from sandbox.training import hearing
from tests.training import real


@pytest.mark.parametrize(
    ("wanted", "heard", "edits"),
    [
        ("", "", 0),
        ("one two", "one two", 0),
        ("one two", "", 2),
        ("", "one", 1),
        ("one two three", "one three", 1),
        ("one two three", "two three four", 2),
        ("one two", "two one", 2),
        ("k i t t e n", "s i t t i n g", 3),
        ("s a t u r d a y", "s u n d a y", 3),
    ],
)
def test_edits_are_counted_as_levenshtein_did(wanted: str, heard: str, edits: int) -> None:
    assert hearing.edits(wanted.split(), heard.split()) == edits
    assert hearing.edits(heard.split(), wanted.split()) == edits


def test_accuracy_is_over_all_words_and_never_below_nothing() -> None:
    assert hearing.accuracy([(["one", "two"], ["one", "two"]), (["three"], ["four"])]) == pytest.approx(2 / 3)
    assert hearing.accuracy([(["one"], ["two", "three", "four"])]) == 0.0


def test_words_are_spelled_as_a_dictionary_does() -> None:
    assert hearing.words("It’s Seven, o'clock -- NOT 8!") == ["it's", "seven", "o'clock", "not"]


def test_a_word_that_the_dictionary_lacks_is_not_listened_for() -> None:
    found = hearing.Recogniser(["seven", "zzyzxq"])
    assert found.vocabulary == {"seven"} and found.knows(["seven"])
    assert not found.knows(["seven", "zzyzxq"]) and not found.knows([])


def test_recorded_numbers_are_understood() -> None:
    said = real.numbers()[:21]
    found = hearing.Recogniser({word for one in said for word in hearing.words(one["text"])})
    pairs = [
        (hearing.words(one["text"]), found.hear(np.frombuffer(one["audio"], dtype="<f4"))) for one in said
    ]
    assert hearing.accuracy(pairs) >= 0.8


def test_nothing_is_heard_in_nothing() -> None:
    assert hearing.Recogniser([]).vocabulary == frozenset()
    silence = hearing.Recogniser(["seven"]).hear(np.zeros(8_000, dtype=np.float32))
    assert len(silence) <= 1
