"""``make test`` runs what failed once more, alone; what fails again fails the change, and so do too many."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests import suites

CHANCE = """
from pathlib import Path
def test_good(): pass
def test_second_time(tmp_path):
    mark = Path("seen")
    known = mark.exists()
    mark.touch()
    assert known, "beside the others"
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")


def suite(name: str, text: str) -> suites.Tests:
    file = Path(f"test_{name}.py")
    file.write_text(text)
    return suites.Tests(name, sys.executable, (str(file),))


def test_who_passes_alone_is_forgiven_by_name(capfd: pytest.CaptureFixture[str]) -> None:
    assert suites.run([suite("host", CHANCE), suite("engine", "def test_it(): pass")]) == 0
    *_, told, host, engine = capfd.readouterr().out.splitlines()
    assert told.startswith("~ host: test_host::test_second_time: passed when run again")
    assert "beside the others" in told
    assert host.startswith("✔ host: 2 passed, 1 of them at a second try, 0 failed")
    assert engine.startswith("✔ engine: 1 passed, 0 failed")


@pytest.mark.parametrize("name", ["host", "engine", "training"])
def test_who_fails_twice_has_failed_in_whatever_suite(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    good, bad = "def test_it(): pass", "def test_it(): assert False, 'always'"
    asked = [suite(each, bad if each == name else good) for each in ("host", "engine", "training")]
    assert suites.run(asked) == 1
    assert f"✘ {name}: test_{name}::test_it: AssertionError: always" in capfd.readouterr().out


def test_too_many_are_no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suites, "FEW", 0)
    assert suites.run([suite("host", CHANCE), suite("engine", "def test_it(): pass")]) == 1


def test_an_old_report_counts_for_nothing() -> None:
    good = [suite("host", "def test_it(): pass"), suite("engine", "def test_it(): pass")]
    assert suites.run(good) == 0
    broken = [good[0], suites.Tests("engine", "/bin/false", ())]
    assert suites.run(broken) == 1


def test_a_session_that_breaks_down_after_its_tests_has_failed(capfd: pytest.CaptureFixture[str]) -> None:
    Path("conftest.py").write_text("def pytest_unconfigure(): raise SystemExit(3)")
    assert suites.run([suite("host", "def test_it(): pass"), suite("engine", "def test_it(): pass")]) == 1
    assert "✘ engine: 1 passed, 0 failed" in capfd.readouterr().out


def test_every_test_is_in_one_of_the_suites() -> None:
    host, engine, training = suites.SUITES
    assert host.words[0] == engine.words[0] == "--ignore=tests/training"
    assert host.words[1:] == ("-m", "not needs_engine") and engine.words[1:] == ("-m", "needs_engine")
    assert training.words == ("tests/training",)
