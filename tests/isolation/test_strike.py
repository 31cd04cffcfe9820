"""Containers are struck all at once, by pid, whatever their engine does meanwhile."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from sandbox.isolation import containers as module
from sandbox.isolation.containers import Containers, Running
from sandbox.isolation.engines import engine


@pytest.fixture
def struck(tmp_path, monkeypatch) -> Iterator[tuple[Containers, dict[str, subprocess.Popen[bytes]]]]:
    """Five "containers" of this launcher; the engine must not be asked."""
    found = Containers(engine("podman", tmp_path / "s", tmp_path / "c"), tmp_path, "label")
    monkeypatch.setattr(module, "STRUCK_S", 60.0)  # who is struck dies at once, but a busy machine buries late
    monkeypatch.setattr(found, "_call", lambda *given, **named: pytest.fail("the engine was asked"))
    sleeping = {}
    for number in range(5):
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        sleeping[f"r-{number}"] = process
        found._running[f"r-{number}"] = Running("id", process.pid, process)
    yield found, sleeping
    for process in sleeping.values():
        process.kill()
        process.wait()


def test_all_are_dead_and_the_engine_was_not_asked(struck):
    containers, sleeping = struck
    assert containers.strike(list(sleeping)) == []
    assert {process.wait(60) for process in sleeping.values()} == {-9}


def test_one_that_does_not_die_is_told(struck, monkeypatch):
    containers, sleeping = struck
    monkeypatch.setattr(module, "STRUCK_S", 2.0)  # in which the other four are to be seen dead
    spared = sleeping["r-3"].pid
    end = module._end
    monkeypatch.setattr(module, "_end", lambda pid: None if pid == spared else end(pid))
    assert containers.strike(list(sleeping)) == ["r-3"]


def test_what_another_launcher_started_is_found_by_the_engine(struck, monkeypatch):
    containers, sleeping = struck
    del containers._running["r-0"]
    monkeypatch.setattr(containers, "_inspect", lambda run: ("id", sleeping[run].pid))
    assert containers.strike(["r-0"]) == [] and sleeping["r-0"].wait(60) == -9


def test_a_container_on_its_way_is_not_called_dead(struck, monkeypatch):
    containers, sleeping = struck
    monkeypatch.setattr(module, "STRUCK_S", 0.1)
    containers._running["r-1"] = Running("", 0, sleeping["r-1"])
    monkeypatch.setattr(containers, "_inspect", lambda run: ("", 0))
    assert containers.strike(["r-1"]) == ["r-1"]


def test_a_run_without_a_container_is_dead(struck, monkeypatch):
    containers, _ = struck
    monkeypatch.setattr(containers, "_inspect", lambda run: ("", 0))
    assert containers.strike(["r-9"]) == []
