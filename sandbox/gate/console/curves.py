"""A metric over the steps of a run, as a small drawing in the page: SVG out of numbers, no script, no library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sandbox.gate.console.markup import text

WIDTH, HEIGHT, LEFT, FOOT, HEAD = 420, 120, 64, 20, 22
MOST = 240  # points that are drawn; of a longer run each is the mean of its share
LINE = "#1c5d99"

Points = Sequence[Mapping[str, float]]


def curves(metrics: Mapping[str, Points]) -> str:
    """One drawing for each metric that was said more than once; empty where none was."""
    return "".join(curve(name, points) for name, points in metrics.items() if len(points) > 1)


def curve(name: str, points: Points) -> str:
    """``name`` over steps, between its least and its greatest value."""
    drawn = _thinned([(float(point["step"]), float(point["value"])) for point in points])
    first, last = drawn[0][0], drawn[-1][0]
    low, high = min(value for _, value in drawn), max(value for _, value in drawn)
    along, up = (last - first) or 1.0, (high - low) or 1.0
    line = " ".join(
        f"{LEFT + WIDTH * (step - first) / along:.1f},{HEAD + HEIGHT * (1 - (value - low) / up):.1f}"
        for step, value in drawn
    )
    base = HEAD + HEIGHT
    said = f"{text(name)}: {points[-1]['value']:g} at step {points[-1]['step']:g}"
    return (
        f'<svg role="img" aria-label="{said}" width="{LEFT + WIDTH + 10}" height="{base + FOOT}" '
        f'viewBox="0 0 {LEFT + WIDTH + 10} {base + FOOT}" font-family="system-ui,sans-serif" font-size="11">'
        f'<text x="{LEFT}" y="14">{said}</text>'
        f'<rect x="{LEFT}" y="{HEAD}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#ddd"/>'
        f'<polyline points="{line}" fill="none" stroke="{LINE}" stroke-width="1.5"/>'
        f'<text x="{LEFT - 6}" y="{HEAD + 9}" text-anchor="end">{high:.4g}</text>'
        f'<text x="{LEFT - 6}" y="{base}" text-anchor="end">{low:.4g}</text>'
        f'<text x="{LEFT}" y="{base + 14}">{first:g}</text>'
        f'<text x="{LEFT + WIDTH}" y="{base + 14}" text-anchor="end">{last:g}</text></svg>'
    )


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    size = -(-len(points) // MOST)
    shares = (points[start : start + size] for start in range(0, len(points), size))
    return [(share[-1][0], sum(value for _, value in share) / len(share)) for share in shares]
