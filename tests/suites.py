"""``python -m tests.suites``: every test, in three suites, then what each said (``build/*.xml``).

The tests without containers run beside those with them; training follows alone. A test may fail because all the others
were running too. So the few that failed run once more, one suite at a time: who fails again has failed; who passes is
told by name in the last lines, is a fault to mend, and does not hold a change up. More than :data:`FEW` are no chance.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests import summary

BUILD = Path("build")
FEW = 12
HOST, TRAINING = ".venv/bin/python", ".venv-train/bin/python"


@dataclass(frozen=True)
class Tests:
    """A suite: who runs it, and which tests."""

    name: str
    python: str
    words: tuple[str, ...]

    @property
    def report(self) -> Path:
        return BUILD / f"{self.name}.xml"

    @property
    def second(self) -> Path:
        return BUILD / f"{self.name}-again.xml"

    def command(self, report: Path, *more: str) -> list[str]:
        """Each suite has a cache of its own: what failed is read from there."""
        cache = f"cache_dir={BUILD / f'cache-{self.name}'}"
        return [self.python, "-m", "pytest", "-o", cache, "--junitxml", str(report), *more, *self.words]


SUITES = (
    Tests("host", HOST, ("--ignore=tests/training", "-m", "not needs_engine")),
    Tests("engine", HOST, ("--ignore=tests/training", "-m", "needs_engine")),
    Tests("training", TRAINING, ("tests/training",)),
)


def run(suites: Sequence[Tests]) -> int:
    """Run all of ``suites``, the first beside the second; 0 when every test passed, if need be at the second try."""
    for suite in suites:
        suite.report.unlink(missing_ok=True)
        suite.second.unlink(missing_ok=True)
    BUILD.mkdir(exist_ok=True)
    beside, *others = suites
    log = BUILD / f"test-{beside.name}.log"
    with open(log, "wb") as quiet:
        first = subprocess.Popen(beside.command(beside.report), stdout=quiet, stderr=subprocess.STDOUT)
        codes = []
        for suite in others:
            codes.append(waited(subprocess.Popen(suite.command(suite.report))))
            if len(codes) == 1:
                codes.insert(0, waited(first))
                print(log.read_text(encoding="utf-8", errors="replace"), flush=True)
    told = [
        once_more(suite, summary.read(suite.report, code)) for suite, code in zip(suites, codes, strict=True)
    ]
    print("\n".join(summary.lines(told)))
    return 0 if all(suite.holds for suite in told) else 1


def once_more(suite: Tests, said: summary.Suite) -> summary.Suite:
    """What the suite ``said``, after those few that failed had a second try."""
    if 0 < len(said.failed) <= FEW:
        print(f"\n{suite.name}: {len(said.failed)} failed; once more, with nothing beside them", flush=True)
        again = ("--last-failed", "--last-failed-no-failures=none")
        code = waited(subprocess.Popen(suite.command(suite.second, *again)))
        said = said.after(summary.read(suite.second, code))
    return said


def waited(process: subprocess.Popen[bytes], out: IO[str] = sys.stderr) -> int:
    """Its exit code. An interrupt reaches it too: what it started is taken down before this raises again."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        print("interrupted: waiting for the tests to take down what they started", file=out)
        process.wait()
        raise


if __name__ == "__main__":
    sys.exit(run(SUITES))
