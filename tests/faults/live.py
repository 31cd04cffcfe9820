"""``python -m tests.faults.live``: the kill drill on the real parts, real containers included; build/drill.json.

An installation of its own is brought up and taken down again. Exit status 1 when a promise was missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from sandbox.demo import speech, story
from sandbox.demo.house import House
from sandbox.demo.report import Report
from sandbox.demo.story import APPROVER, TRAINED, Stage
from tests.faults.play import Row

ROOT = Path(__file__).resolve().parents[2]
INSTALLER, DRILLER = "operator", "ops.chen"
NAME = "{runs} real containers are killed"
CHECKED = [
    "every container dead within 5 s",
    "every credential proved dead, p99 within 2 s",
    "every old credential refused",
    "every run settled, nothing owed",
]


@contextlib.contextmanager
def installation() -> Iterator[Stage]:
    """`sandbox up` with public speech, its agreement and its people; gone afterwards."""
    base = Path(tempfile.mkdtemp(prefix="vs-", dir="/tmp"))
    base.chmod(0o755)
    work = base / "w"
    work.mkdir(mode=0o700)
    house = House(base / "s", work, Console(file=StringIO()))
    stage = Stage(house, ROOT, work, Report())
    try:
        speech.gather_digits(work / "public", "spk_pub0")
        ports = ("--vault-port", "0", "--web-port", "0", "--public-speech", str(work / "public"))
        up = house.ask(INSTALLER, "up", *ports)
        if up.code != 0:
            raise RuntimeError(f"sandbox up: {up.text}")
        with contextlib.redirect_stdout(StringIO()):
            story.agreement(stage)
            add(stage, DRILLER, "operator")
        yield stage
    finally:
        house.ask(INSTALLER, "down", "--purge", "--yes")
        shutil.rmtree(base, ignore_errors=True)


def add(stage: Stage, person: str, role: str) -> None:
    """A person of Party B with one role, logged in."""
    password = secrets.token_urlsafe(18)
    stage.house.say(
        APPROVER, "people", "add", person, "--party", "B", "--role", role, "--nda-until", "2029-01-10",
        "--training", "voice-data-security-2026", "--training-until", TRAINED, "--password-stdin",
        stdin=password + "\n",
    )  # fmt: skip
    stage.house.login(person, password)


def drilled(stage: Stage, runs: int) -> dict[str, Any]:
    """The report of `sandbox incident drill`. Raises RuntimeError when there is none."""
    answer = stage.house.ask(DRILLER, "incident", "drill", "--runs", str(runs))
    found = [line for line in answer.lines if "times_ms" in line]
    if not found:
        raise RuntimeError(f"sandbox incident drill: {answer.text}")
    return dict(found[-1])


def row(report: dict[str, Any]) -> Row:
    """As a line of build/faults.json."""
    times = report["times_ms"]
    shown = {
        "containers dead": times["containers_dead"]["max"],
        "credentials dead p99": times["credentials_dead"]["p99"],
        "settled": times["settled"] or -1,
    }
    name = NAME.format(runs=report["runs"])
    return Row("drill: real containers", name, CHECKED, report["holds"], list(report["faults"]), shown)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests.faults.live", description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("build/drill.json"))
    given = parser.parse_args(argv)
    given.out.unlink(missing_ok=True)
    with installation() as stage:
        report = drilled(stage, given.runs)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(report, indent=1) + "\n")
    print(
        json.dumps(
            {name: report[name] for name in ("runs", "times_ms", "replayed", "faults", "holds")}, indent=1
        )
    )
    return 0 if report["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
