"""A child is started when what it needs is ready, and comes back whatever kills it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.deployment.supervision import Act, Child, Program, State, act, backoff_s
from sandbox.deployment.users import Account
from sandbox.errors import Unreachable

ME = Account("me", os.getuid(), os.getgid())


@pytest.mark.parametrize(
    ("state", "alive", "needs_ready", "now", "expected"),
    [
        (State.WAITING, False, True, 10.0, Act.START),
        (State.WAITING, False, False, 10.0, Act.NOTHING),
        (State.WAITING, False, True, 4.0, Act.NOTHING),  # before its next attempt
        (State.STARTING, True, True, 10.0, Act.PROBE),
        (State.STARTING, False, True, 10.0, Act.BURY),
        (State.STARTING, True, True, 99.0, Act.KILL),
        (State.READY, True, True, 10.0, Act.NOTHING),
        (State.READY, True, False, 10.0, Act.NOTHING),  # what it needs is restarting: it waits by itself
        (State.READY, False, True, 10.0, Act.BURY),
        (State.STOPPED, False, True, 10.0, Act.NOTHING),
    ],
)
def test_what_to_do_with_a_child(
    state: State, alive: bool, needs_ready: bool, now: float, expected: Act
) -> None:
    assert act(state, alive, needs_ready, now, since=9.0, not_before=5.0, start_limit_s=60.0) is expected


def test_the_first_attempt_is_at_once_and_later_ones_wait_ever_longer() -> None:
    waits = [backoff_s(restarts) for restarts in range(12)]
    assert waits[0] == 0 and waits == sorted(waits) and waits[-1] == 15.0


def program(tmp_path: Path, code: str = "import time; time.sleep(60)") -> Program:
    argv = (sys.executable, "-c", code)
    return Program("thing", argv, ME, tmp_path / "thing.log", ready=lambda: True, stop_grace_s=2.0)


def drive(child: Child, until: Callable[[], bool], limit_s: float = 60.0) -> None:
    end = time.monotonic() + limit_s
    while not until():
        assert time.monotonic() < end, child.report()
        child.step(time.monotonic(), needs_ready=True)
        time.sleep(0.02)


def test_a_child_that_is_killed_comes_back_with_a_fresh_credential(tmp_path: Path) -> None:
    handed: list[int] = []
    child = Child(replace(program(tmp_path), before=lambda: handed.append(1)))
    try:
        drive(child, lambda: child.state is State.READY)
        first = child.pid
        os.kill(first, signal.SIGKILL)
        drive(child, lambda: child.state is State.READY and child.pid != first)
        assert child.restarts == 1 and len(handed) == 2
    finally:
        child.stop()


def test_a_start_that_fails_is_tried_again_and_says_why(tmp_path: Path) -> None:
    def refuse() -> None:
        raise Unreachable("Vault does not answer")

    child = Child(replace(program(tmp_path), before=refuse))
    child.step(time.monotonic(), needs_ready=True)
    assert child.state is State.WAITING and "Vault does not answer" in child.fault


def test_a_child_sees_nothing_of_our_environment_and_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "hvs.secret")
    code = (
        "import os; print(sorted(os.environ), len(os.listdir('/proc/self/fd'))); import time; time.sleep(60)"
    )
    child = Child(replace(program(tmp_path, code), env={"LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}))
    log = tmp_path / "thing.log"  # unbuffered, a line comes in pieces
    try:
        drive(child, lambda: log.exists() and log.read_text().endswith("\n"))
    finally:
        child.stop()
    said = log.read_text()
    assert "VAULT_TOKEN" not in said and said.strip().endswith(" 4")  # 0, 1, 2 and the listing itself


def test_a_child_dies_with_its_supervisor(tmp_path: Path) -> None:
    """The supervisor stand-in is killed without a chance to clean up."""
    stand_in = (
        "import sys, time; from pathlib import Path;"
        "from tests.deployment.test_supervision import program, Child;"
        "child = Child(program(Path(sys.argv[1]))); child.step(time.monotonic(), True);"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    root = Path(__file__).parents[2]
    import subprocess

    process = subprocess.Popen(
        [sys.executable, "-c", stand_in, str(tmp_path)], stdout=subprocess.PIPE, cwd=root, text=True
    )
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()
    end = time.monotonic() + 30
    while _lives(pid):
        assert time.monotonic() < end, "the child outlived its supervisor"
        time.sleep(0.02)


def _lives(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:1]
    except OSError:
        return False


def test_a_stopped_child_is_gone_even_when_it_does_not_listen(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    child = Child(replace(program(tmp_path, deaf), stop_grace_s=0.3))
    drive(child, lambda: (tmp_path / "thing.log").exists() and bool((tmp_path / "thing.log").read_text()))
    pid = child.pid
    child.stop()
    assert not _lives(pid)
    child.step(time.monotonic(), needs_ready=True)
    assert child.state is State.STOPPED


def test_what_a_dead_child_left_behind_ends_before_its_successor_starts(tmp_path: Path) -> None:
    code = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    child = Child(replace(program(tmp_path, code), env={"PATH": "/usr/bin:/bin"}))
    try:
        drive(child, lambda: (tmp_path / "thing.log").exists() and bool((tmp_path / "thing.log").read_text()))
        left = int((tmp_path / "thing.log").read_text().split()[0])
        os.kill(child.pid, signal.SIGKILL)
        drive(child, lambda: child.restarts == 1)
        end = time.monotonic() + 30
        while _lives(left):
            assert time.monotonic() < end, "a grandchild was left behind"
            time.sleep(0.02)
    finally:
        child.stop()
