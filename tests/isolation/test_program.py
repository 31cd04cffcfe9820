"""The launcher as the program that the supervisor starts: real socket, real engine, real container."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.isolation.launcher_client import Launcher
from sandbox.isolation.readback import compare
from sandbox.runs import ExitClass
from sandbox.statements import sha256
from tests.isolation.conftest import ROOT, Yard

pytestmark = pytest.mark.needs_engine
READY_S = 60


@pytest.fixture
def home(yard: Yard) -> Yard:
    """The yard, with what an installation has: ``app/docker``, ``app/public.json``, ``run/``."""
    (yard.state / "run").mkdir()
    shutil.copytree(ROOT / "docker", yard.state / "app" / "docker")
    (yard.state / "app" / "public.json").write_text(json.dumps({"engine": "podman"}))
    return replace(yard, label=sha256(str(yard.state.resolve()).encode())[:16])


def begin(state: Path) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "sandbox.isolation.launcher"]
    process = subprocess.Popen(
        [*argv, "--state", str(state), "--owner-uid", str(os.getuid())], cwd=ROOT, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    assert json.loads(process.stderr.readline()) == {"event": "listening", "engine": "podman"}
    return process


def end(process: subprocess.Popen[bytes]) -> bytes:
    process.terminate()
    rest = process.communicate(timeout=READY_S)[1]
    return bytes(rest)


@pytest.fixture
def launcher(home: Yard) -> Iterator[Launcher]:
    process = begin(home.state)
    client = Launcher(home.state / "run" / "launcher.sock")
    yield client
    for found in client.list():
        client.kill(found.run)
    assert end(process) == b""  # not a word about a request


def test_a_run_through_the_program(launcher: Launcher, home: Yard) -> None:
    spec = home.spec()
    started = launcher.start(spec)
    assert compare(spec, launcher.readback(spec.run)) == []
    assert [found.container_id for found in launcher.list()] == [started.container_id]
    launcher.stdin(spec.run, b"no order")
    assert launcher.wait(spec.run, READY_S) is ExitClass.NONZERO
    assert launcher.list() == []


def test_a_container_outlives_the_launcher_and_is_ended_by_the_next(home: Yard) -> None:
    first, spec = begin(home.state), home.spec()
    path = home.state / "run" / "launcher.sock"
    started = Launcher(path).start(spec)
    first.kill()
    first.communicate(timeout=READY_S)
    second = begin(home.state)
    found = Launcher(path).list()
    deadline = time.monotonic() + READY_S
    # The keeper's order never came: with its stdin gone it ends by itself, or the next launcher finds and kills it.
    assert [entry.container_id for entry in found] in ([], [started.container_id])
    Launcher(path).kill(spec.run)
    while Path(f"/proc/{started.pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{started.pid}").exists()
    assert Launcher(path).list() == []
    assert Launcher(path).wait(spec.run, READY_S) is ExitClass.GONE
    end(second)
