"""The report: one page for people, ``build/demo.json`` for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

UNDERSTOOD_GOAL = 18


@dataclass(frozen=True)
class Attempt:
    """Something that must fail: what was tried, what should happen, what did."""

    name: str
    expected: str
    observed: str
    holds: bool


@dataclass(frozen=True)
class Word:
    """One synthesised word and what the recogniser heard (empty: nothing)."""

    said: str
    heard: str

    @property
    def understood(self) -> bool:
        return self.said == self.heard


@dataclass
class Report:
    """What the demonstration saw."""

    seconds: float = 0.0
    words: list[Word] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    runs: list[Mapping[str, Any]] = field(default_factory=list)
    proof: list[str] = field(default_factory=list)
    addresses: dict[str, str] = field(default_factory=dict)

    @property
    def understood(self) -> int:
        return sum(word.understood for word in self.words)

    def shortfalls(self) -> list[str]:
        """Every line that falls short; empty when the demonstration holds."""
        short = [
            f"attempt: {attempt.name}: {attempt.observed}" for attempt in self.attempts if not attempt.holds
        ]
        short += [
            f"run {run['run']}: {run['outcome']}" for run in self.runs if run["outcome"] != run["expected"]
        ]
        if self.understood < UNDERSTOOD_GOAL:
            short.append(
                f"words: {self.understood} of {len(self.words)} understood, {UNDERSTOOD_GOAL} wanted"
            )
        if not self.attempts or not self.runs:
            short.append("the demonstration did not come to its end")
        return short

    def as_json(self) -> dict[str, Any]:
        return {
            "seconds": round(self.seconds, 1),
            "words": {
                "understood": self.understood,
                "of": len(self.words),
                "heard": {word.said: word.heard for word in self.words},
            },
            "attempts": [asdict(attempt) for attempt in self.attempts],
            "runs": list(self.runs),
            "shortfalls": self.shortfalls(),
        }


def write(report: Report, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def show(report: Report, console: Console) -> None:
    """The page."""
    console.rule("What ran")
    console.print(_grid(["run", "what", "outcome", "seconds"], [
        [str(run["run"]), str(run["what"]), str(run["outcome"]), f"{run['seconds']:.0f}"] for run in report.runs
    ]))  # fmt: skip
    console.rule(f"What the model says: {report.understood} of {len(report.words)} words understood")
    console.print(_grid(["said", "heard"] * 3, _threes([
        [word.said, word.heard if word.understood else f"[bold]{word.heard or '-'}[/bold]"] for word in report.words
    ])))  # fmt: skip
    console.rule("What must fail")
    console.print(_grid(["", "attempt", "expected", "observed"], [
        ["[green]✔[/green]" if a.holds else "[red]✘[/red]", a.name, a.expected, a.observed] for a in report.attempts
    ]))  # fmt: skip
    console.rule("Proof")
    for line in report.proof:
        console.print(line, markup=False, soft_wrap=True)
    console.rule("Look at it")
    console.print(_grid(["what", "where"], [[name, where] for name, where in report.addresses.items()]))
    short = report.shortfalls()
    if short:
        console.rule("[red]Falls short[/red]")
        for line in short:
            console.print(f"✘ {line}", markup=False)
    else:
        console.print(f"\n✔ every line holds · {report.seconds / 60:.1f} minutes")


def _threes(pairs: Sequence[list[str]]) -> list[list[str]]:
    rows = -(-len(pairs) // 3)
    padded = [*pairs, *[["", ""]] * (rows * 3 - len(pairs))]
    return [padded[row] + padded[row + rows] + padded[row + 2 * rows] for row in range(rows)]


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
