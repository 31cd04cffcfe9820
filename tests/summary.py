"""``python -m tests.summary REPORT...``: how each test of JUnit reports failed, then a line for each and each suite.

Three suites print thousands of lines; what failed belongs where a person, or the tail of a log, sees it: last.
The exit code is 1 where a test failed, or a suite left no report or ran nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

LINES = 25  # of each failure: its end tells most
WIDTH = 160


@dataclass(frozen=True)
class Failure:
    """A test that failed, or was in error before or after it."""

    test: str
    told: str

    @property
    def reason(self) -> str:
        """The first line that pytest marks as the fault."""
        marked = (line[1:].strip() for line in self.told.splitlines() if line.startswith("E "))
        return next(marked, "no reason given")[:WIDTH]


@dataclass(frozen=True)
class Suite:
    """What a report says; ``ran`` counts skipped tests too."""

    name: str
    ran: int = 0
    skipped: int = 0
    seconds: float = 0.0
    failures: tuple[Failure, ...] = ()

    @property
    def holds(self) -> bool:
        return self.ran > self.skipped and not self.failures


def read(path: Path) -> Suite:
    """A suite by its report; one that ran nothing where there is no whole report."""
    try:
        tree = ET.parse(path)
    except (OSError, ET.ParseError):
        return Suite(path.stem)
    cases = list(tree.iter("testcase"))
    failures = [
        Failure(f"{case.get('classname', '').replace('.', '/')}::{case.get('name')}", told.text or "")
        for case in cases
        for told in case
        if told.tag in ("failure", "error")
    ]
    skipped = sum(case.find("skipped") is not None for case in cases)
    seconds = sum(float(suite.get("time", 0)) for suite in tree.iter("testsuite"))
    return Suite(path.stem, len(cases), skipped, seconds, tuple(failures))


def lines(suites: Sequence[Suite]) -> list[str]:
    """How each test failed; then a line for each of them, and for each suite."""
    told, failed = [], [(suite.name, failure) for suite in suites for failure in suite.failures]
    for name, failure in failed:
        told += [f"✘ {name}: {failure.test}"]
        told += [*(f"    {line}" for line in failure.told.rstrip().splitlines()[-LINES:]), ""]
    told += [f"✘ {name}: {failure.test}: {failure.reason}" for name, failure in failed]
    for suite in suites:
        if not suite.ran:
            told.append(f"✘ {suite.name}: no report; what it printed is above")
            continue
        mark, faults = "✔" if suite.holds else "✘", len(suite.failures)
        passed = suite.ran - suite.skipped - len({failure.test for failure in suite.failures})
        told.append(
            f"{mark} {suite.name}: {passed} passed, {faults} failed, {suite.skipped} skipped, {suite.seconds:.0f} s"
        )
    return told


def main(reports: Sequence[str]) -> int:
    suites = [read(Path(report)) for report in reports]
    print("\n".join(lines(suites)))
    return 0 if suites and all(suite.holds for suite in suites) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
