"""A row of the benchmark: a figure, what it is held against, the ratio, and the goal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """``goal`` reads ``>= 0.95`` (of the ratio) or ``<= 20 ms`` (of the value); empty: a figure without a goal.

    ``holds`` is None where there is no goal.
    """

    name: str
    value: float
    unit: str
    against: str = ""
    ratio: float | None = None
    goal: str = ""
    holds: bool | None = None


def at_least(name: str, value: float, unit: str, against: str, other: float, goal: float) -> Row:
    """``value / other`` must reach ``goal``; both in ``unit``, larger is better."""
    ratio = value / other
    return Row(name, value, unit, f"{against}: {other:.3g} {unit}", ratio, f">= {goal:g}", ratio >= goal)


def at_most(
    name: str, value: float, unit: str, goal: float, against: str = "", ratio: float | None = None
) -> Row:
    """``value`` must not exceed ``goal``, both in ``unit``."""
    return Row(name, value, unit, against, ratio, f"<= {goal:g} {unit}", value <= goal)


def at_most_times(name: str, value: float, unit: str, against: str, other: float, goal: float) -> Row:
    """``value / other`` must not exceed ``goal``; both in ``unit``, smaller is better."""
    ratio = value / other
    return Row(name, value, unit, f"{against}: {other:.3g} {unit}", ratio, f"<= {goal:g}x", ratio <= goal)


def below(name: str, value: float, unit: str, against: str, other: float) -> Row:
    """``value`` must be less than ``other``, both in ``unit``."""
    return Row(name, value, unit, f"{against}: {other:.4g} {unit}", value / other, "less", value < other)


def write(rows: Sequence[Row], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")


def show(rows: Sequence[Row], console: Console) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("", "what", "value", "against", "ratio", "goal"):
        table.add_column(name, justify="right" if name in ("value", "ratio") else "left")
    for row in rows:
        mark = {True: "[green]✔[/green]", False: "[red]✘[/red]", None: ""}[row.holds]
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
        table.add_row(mark, row.name, f"{row.value:.3g} {row.unit}", row.against, ratio, row.goal)
    console.print(table)
