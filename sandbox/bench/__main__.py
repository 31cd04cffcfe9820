"""``python -m sandbox.bench``: every row, in one run; those that need one, on an installation of its own."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from sandbox.bench import deciding, decrypt, launching, million, rivals, sealed, storing, training, unlocking
from sandbox.bench.ground import Ground, own_state, prepared
from sandbox.bench.rows import Row, show, write
from sandbox.errors import SandboxError
from sandbox.sealing.allocator import keep_memory

ALONE = ("decrypt", "seal", "store")  # need no installation
PARTS = (*ALONE, "decide", "launch", "train")


def main() -> int:
    given = arguments().parse_args()
    console = Console(highlight=False)
    work, target = given.work.resolve(), given.work.resolve().parent / "bench.json"
    target.unlink(missing_ok=True)  # a bench that fails leaves no old figures behind
    keep_memory()  # as the keeper does
    try:
        rows = measured_alone(work, given, console)
        if not set(given.only) <= set(ALONE):
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


def measured_alone(work: Path, given: argparse.Namespace, console: Console) -> list[Row]:
    """What is measured on this machine as it is."""
    rows: list[Row] = []
    if "decrypt" in given.only:
        console.rule("decrypt", align="left")
        rows.append(decrypt.measure())
    if "seal" in given.only:
        console.rule("seal", align="left")
        rows += sealed.measure(work, given.recordings, given.rounds)
        rows += rivals.measure(work, given.recordings, given.rounds)
        rows += million.measure(work, given.rounds)
        rows += unlocking.measure(work, Path.cwd() / "configs/vault", given.people)
    if "store" in given.only:
        console.rule("store", align="left")
        rows += storing.measure(work, rounds=given.rounds)
    return rows


def measured(ground: Ground, given: argparse.Namespace, console: Console) -> list[Row]:
    """The quick ones first; the machine is quiet in all of them."""
    rows: list[Row] = []
    for part in PARTS:
        if part not in given.only or part in ALONE:
            continue
        console.rule(part, align="left")
        match part:
            case "decide":
                rows.append(deciding.measure(ground, given.decisions))
            case "launch":
                rows.append(launching.measure(ground, given.launches))
            case "train":
                rows += training.measure(ground, given.steps, given.rounds)
    return rows


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sandbox.bench", description=__doc__)
    parser.add_argument(
        "--steps", type=int, default=480, help="steps of each training (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="trainings of each kind (default: %(default)s)")
    parser.add_argument("--launches", type=int, default=7, help="launches (default: %(default)s)")
    parser.add_argument("--decisions", type=int, default=300, help="decisions (default: %(default)s)")
    parser.add_argument("--recordings", type=int, default=300, help="recordings sealed (default: %(default)s)")
    parser.add_argument(
        "--people", type=int, nargs="+", default=list(unlocking.COUNTS), help="how many are unlocked"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="some of the parts")
    parser.add_argument("--state", type=Path, default=own_state(os.getuid()), help="its own installation")
    parser.add_argument("--work", type=Path, default=Path("build/bench"), help="where it keeps its things")
    parser.add_argument("--stay", action="store_true", help="leave the installation up, to look at")
    return parser


if __name__ == "__main__":
    sys.exit(main())
