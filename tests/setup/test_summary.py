"""What ``make test`` says last: every failure of every suite, and that a suite without a report is one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import summary

TESTS = """
import pytest
def test_good(): pass
def test_bad(): assert 6 * 7 == 41, "the answer is another"
@pytest.mark.skip(reason="not here")
def test_left_out(): pass
@pytest.fixture
def broken(): raise OSError("no such part")
def test_in_error(broken): pass
"""


def report(folder: Path, *words: str) -> Path:
    """The report that pytest itself writes of :data:`TESTS`."""
    (folder / "test_some.py").write_text(TESTS)
    path = folder / "host.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    subprocess.run(
        [*command, "--junitxml", str(path), *words, str(folder)],
        check=False,
        capture_output=True,
        cwd=folder,
        timeout=120,
    )
    return path


def test_every_failure_is_told_last_with_its_reason(tmp_path: Path) -> None:
    told = summary.lines([summary.read(report(tmp_path))])
    assert "✘ host: test_some::test_bad" in told and any(line.startswith("    > ") for line in told)
    assert told[-3].startswith("✘ host: test_some::test_bad: AssertionError: the answer is another")
    assert told[-2] == "✘ host: test_some::test_in_error: OSError: no such part"
    assert told[-1].startswith("✘ host: 1 passed, 2 failed, 1 skipped")


@pytest.mark.parametrize(
    ("words", "holds"), [(["-k", "good"], True), (["-k", "left_out"], False), (["-k", "nobody"], False)]
)
def test_a_suite_holds_only_when_something_passed_in_it(
    tmp_path: Path, words: list[str], holds: bool
) -> None:
    assert summary.read(report(tmp_path, *words)).holds is holds


@pytest.mark.parametrize("left", ["", "<testsuites><testsuite>"])
def test_a_suite_that_left_no_whole_report_has_failed(tmp_path: Path, left: str) -> None:
    other = tmp_path / "engine.xml"
    if left:
        other.write_text(left)
    said = summary.read(other)
    assert not said.holds
    assert summary.lines([said]) == ["✘ engine: no report; what it printed is above"]


def test_only_what_passed_the_second_time_is_forgiven_and_told(tmp_path: Path) -> None:
    first, fault = summary.read(report(tmp_path)), "AssertionError: the answer is another"
    passed = summary.Suite("again", 1, passed=frozenset({"test_some::test_bad"}))
    said = first.after(passed)
    assert not said.holds and [f.test for f in said.failures] == ["test_some::test_in_error"]
    assert any("~ host: test_some::test_bad: passed when run again" in line for line in summary.lines([said]))
    assert first.after(summary.Suite("again")) == first, "a second try that left no report forgives nothing"
    both = summary.Suite("again", 1, failures=first.failures, passed=passed.passed)
    assert first.after(both).failures == first.failures, "passed, and in error after it"
    assert fault in "".join(summary.lines([first]))
