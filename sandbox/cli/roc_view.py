"""A ROC curve as lines of text: true over false positive rates, and the diagonal that guessing gives."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT = 41, 11


def roc_lines(name: str, curve: Sequence[Sequence[float]]) -> list[str]:
    """``*`` the curve, ``.`` guessing; from (0, 0) below left to (1, 1) above right."""
    rows = [[" "] * WIDTH for _ in range(HEIGHT)]
    for column in range(WIDTH):
        false = column / (WIDTH - 1)
        rows[_row(false)][column] = "."
        rows[_row(max(true for at, true in curve if at <= false + 1e-9))][column] = "*"
    edges = {0: "1.0", HEIGHT - 1: "0.0"}
    drawn = [f"{edges.get(n, ''):>5} |{''.join(row)}|" for n, row in enumerate(rows)]
    return [
        f"      in it and caught, by {name}",
        *drawn,
        f"      0.0{'not in it, taken for in':^{WIDTH - 4}}1.0",
    ]


def _row(value: float) -> int:
    return HEIGHT - 1 - round(value * (HEIGHT - 1))
