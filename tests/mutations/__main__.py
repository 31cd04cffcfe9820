"""``python -m tests.mutations``: every mutation against the product, and against the product without its check.

Writes ``build/mutations.json``, one row a case. Answers 1 when a mutation is not caught by the error that the table
names, or when nobody would notice that its check is gone.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import track

from sandbox.cli.show import console, grid, marks
from tests.mutations.case import Case, Row, code_of, judge
from tests.mutations.table import CASES


def main() -> int:
    given = arguments().parse_args()
    screen = console(sys.stdout)
    cases = [case for case in CASES if given.only in case.title]
    shown = track(cases, "mutating", console=screen, transient=True, disable=not screen.is_terminal)
    rows = list(judged(shown))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")
    show(rows, screen)
    return answer(rows)


def judged(cases: Iterable[Case]) -> Iterator[Row]:
    for case in cases:
        with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
            yield judge(case, Path(folder))


def answer(rows: list[Row]) -> int:
    """0 when there are rows and all of them hold."""
    return 0 if rows and all(row.holds for row in rows) else 1


def show(rows: list[Row], screen: Console) -> None:
    sign = marks(screen.file)
    shown = [
        (
            sign.good if row.holds else sign.bad,
            row.case,
            brief(row.error),
            row.check,
            brief(row.without_check),
        )
        for row in rows
    ]
    grid(screen, ("", "case", "caught as", "check", "without it"), shown)
    caught, red = sum(row.caught for row in rows), sum(row.red_without_check for row in rows)
    screen.print(
        f"{caught} of {len(rows)} mutations caught; {red} no longer so once their check was removed "
        f"({len({row.check for row in rows})} checks)",
        soft_wrap=True,
    )


def brief(outcome: str) -> str:
    """The code alone, where there is one: a table has few columns."""
    return code_of(outcome) or outcome


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="the cases whose name holds this text")
    parser.add_argument("--out", type=Path, default=Path("build/mutations.json"), metavar="FILE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
