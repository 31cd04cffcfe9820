"""What a model never hears is told by the words alone."""

from __future__ import annotations

import pytest

from sandbox.training.heldout import held_out, words

KEPT = "Please check the number and dial again"


def test_one_sentence_in_eight_or_so_is_held_out() -> None:
    held = sum(held_out(f"this is the sentence number {'again ' * n}") for n in range(1, 401))
    assert 30 < held < 70


@pytest.mark.parametrize(
    "text", [KEPT, KEPT.upper(), f"  {KEPT}. ", f"{KEPT}, 2!"], ids=["so", "loud", "marks", "number"]
)
def test_takes_of_one_sentence_are_held_out_together(text: str) -> None:
    assert held_out(text)


@pytest.mark.parametrize("text", ["", "seven", "press 1 to", "..."])
def test_what_is_no_sentence_is_always_learned_from(text: str) -> None:
    assert not any(held_out(text, part) for part in range(1, 20))


def test_another_part_holds_others_out() -> None:
    assert held_out(KEPT, 1) and not held_out(KEPT, 1 << 31)


def test_words_are_small_letters_without_marks() -> None:
    assert words("You’re welcome; press 2!") == ["you're", "welcome", "press"]
