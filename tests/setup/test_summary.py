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


def test_every_failure_is_told_last_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = report(tmp_path)
    assert summary.main([str(path)]) == 1
    told = capsys.readouterr().out
    assert "✘ host: test_some::test_bad\n" in told and "> " in told
    assert told.splitlines()[-3].startswith(
        "✘ host: test_some::test_bad: AssertionError: the answer is another"
    )
    assert told.splitlines()[-2] == "✘ host: test_some::test_in_error: OSError: no such part"
    assert told.splitlines()[-1].startswith("✘ host: 1 passed, 2 failed, 1 skipped")


@pytest.mark.parametrize(
    ("words", "code"), [(["-k", "good"], 0), (["-k", "left_out"], 1), (["-k", "nobody"], 1)]
)
def test_a_suite_holds_only_when_something_passed_in_it(tmp_path: Path, words: list[str], code: int) -> None:
    assert summary.main([str(report(tmp_path, *words))]) == code


@pytest.mark.parametrize("left", ["", "<testsuites><testsuite>"])
def test_a_suite_that_left_no_whole_report_has_failed(
    tmp_path: Path, left: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, other = report(tmp_path, "-k", "good"), tmp_path / "engine.xml"
    if left:
        other.write_text(left)
    assert summary.main([str(whole), str(other)]) == 1
    assert "✘ engine: no report" in capsys.readouterr().out


def test_no_suite_at_all_is_no_success() -> None:
    assert summary.main([]) == 1
