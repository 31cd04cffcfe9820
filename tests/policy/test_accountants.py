"""The table of accountants on the page: its PLD and RDP are the gate's own figures, and PRV lies between."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sandbox.policy.epsilon import Mechanism, bound, spent

PAGE = Path(__file__).parents[2] / "docs" / "privacy.md"
SECTION = PAGE.read_text("utf-8").partition("## Three accountants")[2].partition("\n## ")[0]
ROWS = [
    tuple(float(cell) for cell in line.strip("| \n").split("|"))
    for line in SECTION.splitlines()
    if re.fullmatch(r"\| [0-9.e|\s-]+\|", line)
]


def test_the_page_has_the_table() -> None:
    assert len(ROWS) == 8 and {len(row) for row in ROWS} == {7}


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_three_accountants_agree_as_the_page_says(row: tuple[float, ...]) -> None:
    sigma, rate, steps, delta, prv, pld, rdp = row
    history = [Mechanism(sigma, rate, int(steps))]
    assert spent(history, delta) == pytest.approx(pld, abs=1e-4)
    assert bound(history, delta) == pytest.approx(rdp, abs=1e-4)
    assert prv == pytest.approx(pld, rel=0.01) and rdp > max(prv, pld)
