"""Drawings for pages: SVG out of numbers, in the page itself, without a script or a library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sandbox.gate.console.markup import text

SIDE, MARGIN = 220, 34  # of the square that a curve is drawn in, and around it
COLOURS = ("#1c5d99", "#b3541e")

Curve = Sequence[Sequence[float]]


def roc(curves: Mapping[str, Curve]) -> str:
    """True over false positive rates, each curve with its name; the dashed line is guessing."""
    whole = SIDE + 2 * MARGIN
    lines = [
        f'<svg role="img" aria-label="ROC" width="{whole + 160}" height="{whole}" font-size="11">',
        f'<rect x="{MARGIN}" y="{MARGIN}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#ddd"/>',
        f'<polyline points="{_points([(0, 0), (1, 1)])}" fill="none" stroke="#999" stroke-dasharray="4"/>',
    ]
    for number, (name, curve) in enumerate(curves.items()):
        colour, y = COLOURS[number % len(COLOURS)], MARGIN + 12 + 18 * number
        lines.append(f'<polyline points="{_points(curve)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        lines.append(f'<text x="{MARGIN + SIDE + 10}" y="{y}" fill="{colour}">{text(name)}</text>')
    axis, foot = MARGIN + SIDE, MARGIN + SIDE + 14
    for value in (0, 0.5, 1):
        lines.append(f'<text x="{_x(value):g}" y="{foot}" text-anchor="middle">{value:g}</text>')
        lines.append(f'<text x="{MARGIN - 5}" y="{_y(value) + 4:g}" text-anchor="end">{value:g}</text>')
    lines.append(f'<text x="{_x(0.5):g}" y="{axis + 28}" text-anchor="middle">not in it, taken for in</text>')
    lines.append(f'<text x="{MARGIN - 20}" y="{MARGIN - 12}">in it, and caught</text>')
    return "".join([*lines, "</svg>"])


def _points(curve: Curve) -> str:
    return " ".join(f"{_x(false):g},{_y(true):g}" for false, true in curve)


def _x(value: float) -> float:
    return round(MARGIN + SIDE * value, 1)


def _y(value: float) -> float:
    return round(MARGIN + SIDE * (1 - value), 1)
