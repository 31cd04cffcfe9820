"""What a card may let an engineer say: a text is as long as its card allows."""

from __future__ import annotations

import pytest

from sandbox.errors import Usage
from sandbox.policy.recipe import Card, expand, read_card

CARD = """
name: speak
summary: Says a text.
purposes: [test]
engine: none
dataset: none
inputs: [model]
parameters:
  text: {{type: str, default: ""{more}}}
"""


def card(more: str = "") -> Card:
    return read_card({"recipe.yaml": CARD.format(more=more).encode(), "recipe.py": b""})


@pytest.mark.parametrize(("more", "most"), [("", 200), (", max: 20", 20), (", max: 2000", 2000)])
def test_a_text_is_as_long_as_its_card_allows(more: str, most: int) -> None:
    assert expand(card(more), {"text": "x" * most}).parameters == {"text": "x" * most}
    with pytest.raises(Usage, match=f"text: at most {most} characters"):
        expand(card(more), {"text": "x" * (most + 1)})


@pytest.mark.parametrize("more", [", max: 2001", ", max: 0"])
def test_no_card_allows_a_book_or_nothing(more: str) -> None:
    with pytest.raises(Usage, match="1 to 2000"):
        card(more)


def test_a_text_is_one_line() -> None:
    with pytest.raises(Usage, match="one line"):
        expand(card(), {"text": "one\ntwo"})
