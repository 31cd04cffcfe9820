"""What JUnit reports say: how each test failed, then a line for each and each suite.

Three suites print thousands of lines; what failed belongs where a person, or the tail of a log, sees it: last. A suite
holds where something passed in it, and nothing failed or failed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    """What a report says, and pytest's own exit ``code``; ``ran`` counts skipped tests too."""

    name: str
    ran: int = 0
    skipped: int = 0
    seconds: float = 0.0
    failures: tuple[Failure, ...] = ()
    passed: frozenset[str] = frozenset()
    by_chance: tuple[Failure, ...] = ()  # failed, and passed when run again
    code: int = 0

    @property
    def holds(self) -> bool:
        return self.ran > self.skipped and not self.failures and self.code == 0

    @property
    def failed(self) -> frozenset[str]:
        """A test may fail and be in error after it: two failures, one test."""
        return frozenset(failure.test for failure in self.failures)

    def after(self, again: Suite) -> Suite:
        """As it stands once what failed has run ``again``: only who passed there, and whole, is forgiven."""
        forgiven = again.passed - again.failed
        return replace(
            self,
            seconds=self.seconds + again.seconds,
            code=again.code,
            failures=tuple(failure for failure in self.failures if failure.test not in forgiven),
            by_chance=tuple(failure for failure in self.failures if failure.test in forgiven),
        )


def read(path: Path, code: int = 0) -> Suite:
    """A suite by its report; one that ran nothing where there is no whole report."""
    try:
        tree = ET.parse(path)
    except (OSError, ET.ParseError):
        return Suite(path.stem, code=code)
    cases = list(tree.iter("testcase"))
    failures, passed, skipped = list[Failure](), set[str](), 0
    for case in cases:
        name = f"{case.get('classname', '').replace('.', '/')}::{case.get('name')}"
        faults = [Failure(name, told.text or "") for told in case if told.tag in ("failure", "error")]
        failures += faults
        if case.find("skipped") is not None:
            skipped += 1
        elif not faults:
            passed.add(name)
    seconds = sum(float(suite.get("time", 0)) for suite in tree.iter("testsuite"))
    return Suite(path.stem, len(cases), skipped, seconds, tuple(failures), frozenset(passed), code=code)


def lines(suites: Sequence[Suite]) -> list[str]:
    """How each test failed, at its first try or at both; then a line for each of them, and for each suite."""
    told = list[str]()
    for suite in suites:
        for failure in (*suite.by_chance, *suite.failures):
            mark = "✘" if failure in suite.failures else "~"
            told += [f"{mark} {suite.name}: {failure.test}"]
            told += [*(f"    {line}" for line in failure.told.rstrip().splitlines()[-LINES:]), ""]
    for suite in suites:
        told += [
            f"~ {suite.name}: {f.test}: passed when run again, and is to be mended: {f.reason}"
            for f in suite.by_chance
        ]
        told += [f"✘ {suite.name}: {failure.test}: {failure.reason}" for failure in suite.failures]
    for suite in suites:
        if not suite.ran:
            told.append(f"✘ {suite.name}: no report; what it printed is above")
            continue
        mark, passed = "✔" if suite.holds else "✘", suite.ran - suite.skipped - len(suite.failed)
        chance = f", {len(suite.by_chance)} of them at a second try" if suite.by_chance else ""
        failed = f"{len(suite.failures)} failed, {suite.skipped} skipped, {suite.seconds:.0f} s"
        ended = f"; pytest ended with {suite.code}" if suite.code and not suite.failures else ""
        told.append(f"{mark} {suite.name}: {passed} passed{chance}, {failed}{ended}")
    return told
