"""``python -m sandbox.bench``: every row, in one run; those that need one, on an installation of its own."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from sandbox.bench import (
    deciding,
    decrypt,
    launching,
    million,
    private,
    quality,
    recipes,
    resuming,
    rivals,
    saving,
    sealed,
    storing,
    trainers,
    training,
    unlocking,
)
from sandbox.bench.ground import Ground, own_state, prepared
from sandbox.bench.outside import outdoors
from sandbox.bench.rows import Row, show, write
from sandbox.errors import SandboxError
from sandbox.sealing.allocator import keep_memory

#: Which part takes some how many minutes, on two quiet cores with what is asked when nothing is said.
MINUTES = {
    "decrypt": 0.1, "seal": 1.5, "store": 0.5,
    "trainer": 4.5, "resume": 2.0, "private": 5.0,
    "decide": 0.6, "launch": 0.4, "train": 6.5, "recipes": 14.0, "full": 8.0, "save": 2.0, "quality": 24.0,
}  # fmt: skip
SETTING_UP = 1.5  # an installation, once the image is there
ALONE = ("decrypt", "seal", "store")  # need no installation
OUTDOORS = ("trainer", "resume", "private")  # nor do these, which train outside
PARTS = tuple(MINUTES)
LONG = ("quality",)  # only when asked for

Part = Callable[[], list[Row]]


def main() -> int:
    given = arguments().parse_args()
    console = Console(highlight=False)
    work, target = given.work.resolve(), given.work.resolve().parent / "bench.json"
    target.unlink(missing_ok=True)  # a bench that fails leaves no old figures behind
    keep_memory()  # as the keeper does
    console.print(f"some {estimate(given.only):.0f} minutes on two quiet cores", style="dim")
    try:
        rows = measured_alone(work, given, console)
        rows += measured_outdoors(work, given, console)
        if not set(given.only) <= {*ALONE, *OUTDOORS}:
            with prepared(given.state, Path.cwd(), work, console, stay=given.stay) as ground:
                rows += measured(ground, given, console)
    except SandboxError as fault:
        console.print(f"✘ nothing was measured: {fault.message}", markup=False)
        if fault.mend:
            console.print(f"  {fault.mend}", markup=False)
        return fault.exit_code or 1
    except KeyboardInterrupt:
        return 130
    write(rows, target)
    console.rule("The bench", align="left")
    show(rows, console)
    return 0


def estimate(parts: Sequence[str]) -> float:
    """Minutes."""
    return sum(MINUTES[part] for part in parts) + (SETTING_UP if set(parts) - {*ALONE, *OUTDOORS} else 0.0)


def measured_alone(work: Path, given: argparse.Namespace, console: Console) -> list[Row]:
    """What is measured on this machine as it is."""

    def seal() -> list[Row]:
        return [
            *sealed.measure(work, given.recordings, given.rounds),
            *rivals.measure(work, given.recordings, given.rounds),
            *million.measure(work, given.rounds),
            *unlocking.measure(work, Path.cwd() / "configs/vault", given.people),
        ]

    parts: dict[str, Part] = {
        "decrypt": lambda: [decrypt.measure()],
        "seal": seal,
        "store": lambda: storing.measure(work, rounds=given.rounds),
    }
    return one_by_one(parts, given.only, console)


def measured_outdoors(work: Path, given: argparse.Namespace, console: Console) -> list[Row]:
    """What trains on public recordings without a sandbox."""
    if not set(given.only) & set(OUTDOORS):
        return []
    with outdoors(Path.cwd(), work / "outdoors") as place:
        parts: dict[str, Part] = {
            "trainer": lambda: trainers.measure(place, given.rounds),
            "resume": lambda: resuming.measure(place),
            "private": lambda: private.measure(place),
        }
        return one_by_one(parts, given.only, console)


def measured(ground: Ground, given: argparse.Namespace, console: Console) -> list[Row]:
    """The quick ones first; the machine is quiet in all of them."""
    tiny, full = (recipes.chosen(cases, given.cases) for cases in (recipes.TINY, recipes.FULL))
    parts: dict[str, Part] = {
        "decide": lambda: deciding.measure(ground, given.decisions),
        "launch": lambda: [launching.measure(ground, given.launches)],
        "train": lambda: training.measure(ground, given.steps, given.rounds),
        "recipes": lambda: recipes.measure(ground, given.rounds, tiny),
        "full": lambda: recipes.measure(ground, 1, full),
        "save": lambda: saving.measure(ground, given.rounds),
        "quality": lambda: quality.measure(ground, given.seeds),
    }
    return one_by_one(parts, given.only, console)


def one_by_one(parts: Mapping[str, Part], only: Sequence[str], console: Console) -> list[Row]:
    """The rows of those parts that are asked for; each part's are shown as soon as they are known."""
    rows: list[Row] = []
    for name in (name for name in parts if name in only):
        console.rule(name, align="left")
        found = parts[name]()
        show(found, console)
        rows += found
    return rows


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sandbox.bench", description=__doc__)
    parser.add_argument(
        "--steps", type=int, default=480, help="steps of each training (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="trainings of each kind (default: %(default)s)")
    parser.add_argument("--launches", type=int, default=7, help="launches (default: %(default)s)")
    parser.add_argument("--decisions", type=int, default=300, help="decisions (default: %(default)s)")
    parser.add_argument(
        "--recordings", type=int, default=300, help="recordings sealed (default: %(default)s)"
    )
    parser.add_argument(
        "--people", type=int, nargs="+", default=list(unlocking.COUNTS), help="how many are unlocked"
    )
    usual = [part for part in PARTS if part not in LONG]
    parser.add_argument("--only", nargs="+", choices=PARTS, default=usual, help="some of the parts")
    parser.add_argument("--cases", type=cases, default=(), help="of recipes and full: vits-tiny,vits-full,…")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5], help="of quality's digits, a training each"
    )
    parser.add_argument("--state", type=Path, default=own_state(os.getuid()), help="its own installation")
    parser.add_argument("--work", type=Path, default=Path("build/bench"), help="where it keeps its things")
    parser.add_argument("--stay", action="store_true", help="leave the installation up, to look at")
    return parser


def cases(text: str) -> tuple[str, ...]:
    """Names with commas between them. Raises ArgumentTypeError for one that nobody knows."""
    names, known = tuple(text.split(",")), [case.name for case in (*recipes.TINY, *recipes.FULL)]
    if unknown := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(f"no case {', '.join(unknown)}; there are {', '.join(known)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
