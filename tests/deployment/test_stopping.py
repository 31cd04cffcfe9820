"""Asking a supervisor to end, also one that has only just come."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.deployment import daemon
from sandbox.deployment.locks import holder, only_one
from sandbox.deployment.places import Places

HOLDS = """
import fcntl, os, sys, time
handle = os.open(sys.argv[1], os.O_RDWR)
fcntl.flock(handle, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(float(sys.argv[2]))
os.ftruncate(handle, 0)
os.pwrite(handle, f"{os.getpid()}\\n".encode(), 0)
time.sleep(600)
"""


@pytest.fixture
def places(tmp_path: Path) -> Places:
    found = Places.at(tmp_path)
    found.supervisor_lock.parent.mkdir(parents=True, exist_ok=True)
    return found


@pytest.fixture(params=["", "a dead one's"], ids=["no number", "the number of a dead one"])
def newcomer(request: pytest.FixtureRequest, places: Places) -> Iterator[subprocess.Popen[str]]:
    """Holds the lock; says half a second later who it is."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    places.supervisor_lock.write_text(f"{gone.pid}\n" if request.param else "")
    words = [sys.executable, "-c", HOLDS, str(places.supervisor_lock), "0.5"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_supervisor_that_has_not_said_yet_who_it_is_is_ended_too(
    places: Places, newcomer: subprocess.Popen[str]
) -> None:
    assert daemon.stop(places)
    assert newcomer.wait(30) == -15 and holder(places.supervisor_lock) == 0


def test_an_interrupt_while_it_starts_ends_it(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    places.python.parent.mkdir(parents=True)
    places.python.write_text("#!/bin/sh\nexec sleep 600\n")
    places.python.chmod(0o755)
    places.logs.mkdir(parents=True, exist_ok=True)
    started: list[subprocess.Popen[bytes]] = []

    class Noted(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *words: Any, **how: Any) -> None:
            super().__init__(*words, **how)
            started.append(self)

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", Noted)
    monkeypatch.setattr(daemon.time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        daemon.start(places)
    monkeypatch.undo()
    assert started[0].wait(30) == -15


def test_without_a_supervisor_nobody_is_asked(places: Places) -> None:
    assert not daemon.stop(places)


def test_who_ended_in_order_leaves_no_number_behind(places: Places) -> None:
    with only_one(places.supervisor_lock, "another"):
        assert places.supervisor_lock.read_text() != ""
    assert places.supervisor_lock.read_text() == ""
