"""``python -m tests.faults``: the whole matrix, races and kill drill; build/faults.json tells what held.

The points are recorded from a sound run first. Exit status 1 when an invariant does not hold or a point is not reached.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.faults import drill, kills, live, play, races
from tests.faults.ground import quick
from tests.faults.kinds import KINDS
from tests.faults.matrix import Case, matrix, telling
from tests.faults.play import Row
from tests.faults.record import record
from tests.gate.founding import found
from tests.gate.world import World, short_folder

BESIDE = 3


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests.faults", description=__doc__)
    parser.add_argument("--each", type=int, default=0, help="only so many points of each kind (0: all)")
    parser.add_argument("--drill", type=Path, help="the report of `make drill`, whose row belongs here")
    parser.add_argument("--out", type=Path, default=Path("build/faults.json"))
    given, console, began = parser.parse_args(argv), Console(highlight=False), time.monotonic()
    given.out.unlink(missing_ok=True)  # one that fails leaves no old result behind
    logging.getLogger("sandbox").setLevel(logging.CRITICAL)  # faults are what is wanted here
    with quick(), short_folder() as state:
        founded = found(state)
        points = record(founded)
        cases = matrix(points)
        if given.each:
            cases = telling(cases, given.each)
        console.print(
            f"{len(points)} points were passed by a sound run; {len(cases)} faults, "
            f"{len(races.RACES)} races and a drill follow"
        )
        rows = _all(founded, cases, console)
    if given.drill is not None:
        rows.append(live.row(json.loads(given.drill.read_text())))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False) + "\n")
    _show(rows, console)
    console.print(f"{len(rows)} rows in {time.monotonic() - began:.0f} s: {given.out}")
    return 0 if all(row.holds for row in rows) else 1


def _all(founded: World, cases: Sequence[Case], console: Console) -> list[Row]:
    rows = []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("faults", total=len(cases) + len(races.RACES) + 1)
        for row in _rows(founded, cases):
            rows.append(row)
            progress.advance(task)
            if not row.holds:
                progress.console.print(f"✘ {row.point} · {row.fault}", markup=False)
                for said in row.broken:
                    progress.console.print(f"    {said}", markup=False)
    return rows


def _rows(founded: World, cases: Sequence[Case]) -> Iterator[Row]:
    """Some faults beside each other, for most of their time is waiting; races and the drill alone."""
    with ThreadPoolExecutor(BESIDE) as pool:
        yield from pool.map(lambda case: play.play(founded, *case), cases)
    for name in races.RACES:
        yield races.play(founded, name)
    with ThreadPoolExecutor(BESIDE) as pool:
        for scope in kills.SCOPES:
            found = kills.cases(kills.record(founded, scope))
            yield from pool.map(lambda case, scope=scope: kills.play(founded, scope, *case), found)  # type: ignore[misc]
    yield drill.play(founded)


def _show(rows: Sequence[Row], console: Console) -> None:
    """One line a kind of fault."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("", "fault", "points", "hold", "times"):
        table.add_column(name, justify="right" if name in ("points", "hold") else "left")
    for name in dict.fromkeys((*(kind.name for kind in KINDS), *races.RACES, *(row.fault for row in rows))):
        its = [row for row in rows if row.fault == name]
        held = sum(row.holds for row in its)
        mark = "[green]✔[/green]" if held == len(its) else "[red]✘[/red]"
        times = ", ".join(f"{what} {ms} ms" for row in its for what, ms in row.times_ms.items())
        table.add_row(mark, name, str(len(its)), str(held), times)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
