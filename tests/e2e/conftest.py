"""One real installation for all end-to-end tests: brought up once, on ports of its own, taken down at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sandbox.demo import story
from sandbox.demo.house import Answer, House
from sandbox.demo.report import Report
from sandbox.demo.story import Stage
from sandbox.deployment.files import read_json
from sandbox.deployment.places import Places

ROOT = Path(__file__).resolve().parents[2]
OPERATOR = "operator"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs the real parts; whichever test comes first waits until they are built and up."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.needs_vault)
            item.add_marker(pytest.mark.needs_engine)
            item.add_marker(pytest.mark.timeout(2700))


@dataclass(frozen=True)
class Stack:
    """A running installation and its people. ``ask`` is the real command line, with a login of each person's own."""

    house: House
    source: Path

    @property
    def places(self) -> Places:
        return Places(self.house.state)

    def ask(self, person: str, *words: str, stdin: str | None = None) -> Answer:
        """``sandbox --json …`` as ``person``, whatever its exit code."""
        return self.house.ask(person, *words, stdin=stdin)

    def must(self, person: str, *words: str, stdin: str | None = None) -> Answer:
        """The same, where it has to succeed."""
        answer = self.ask(person, *words, stdin=stdin)
        assert answer.code == 0, f"sandbox {' '.join(words)}: {answer.text}"
        return answer

    def board(self) -> dict[str, Any]:
        return read_json(self.places.status)

    def pid(self, service: str) -> int:
        return int(self.board()["services"][service]["pid"])

    def until_ready(self, service: str, other_than: int = 0, limit_s: float = 180.0) -> int:
        """The pid of ``service`` once it is ready (again, as another process than ``other_than``)."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            found = self.board()["services"][service]
            if found["state"] == "ready" and found["pid"] != other_than:
                return int(found["pid"])
            time.sleep(0.1)
        raise AssertionError(f"{service} did not come back: {self.board()['services'][service]}")


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """`sandbox up` at a short path that service users can reach; `down --purge` in the end.

    ``VOICE_SANDBOX_TEST_STATE`` names an installation to use, and to leave as it is, instead.
    """
    kept = os.environ.get("VOICE_SANDBOX_TEST_STATE")
    base = Path(tempfile.mkdtemp(prefix="vs-", dir="/tmp"))
    base.chmod(0o755)
    state = Path(kept) if kept else base / "s"
    work = base / "w"
    work.mkdir(mode=0o700)
    found = Stack(House(state, work, Console(file=StringIO())), ROOT)
    try:
        found.must(OPERATOR, "up", "--vault-port", "0", "--web-port", "0")
        _without_second_factors(found.places)
        yield found
    finally:
        if not kept:
            found.ask(OPERATOR, "down", "--purge", "--yes")
        shutil.rmtree(base, ignore_errors=True)


def _without_second_factors(places: Places) -> None:
    """Codes are asked of those who enrolled only; ``test_second_factor`` enrols somebody."""
    file = places.app / "configs" / "gate.yaml"
    file.write_text(file.read_text().replace("totp: required", "totp: enrolled"))
    assert "totp: enrolled" in file.read_text()


@pytest.fixture(scope="session")
def stage(stack: Stack) -> Stage:
    """The installation with its agreement, its people, its recipes and two sealed datasets of real speech."""
    found = Stage(stack.house, ROOT, stack.house.work, Report())
    with contextlib.redirect_stdout(StringIO()):
        story.agreement(found)
        story.people(found)
        story.seal(found)
    return found


@pytest.fixture(scope="session")
def runs(stack: Stack, stage: Stage) -> Any:
    from tests.e2e.running import Runs

    return Runs(stack, stage)
