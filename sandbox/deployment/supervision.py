"""Keeping programs alive: one child a program, started when what it needs is ready, restarted when it dies.

The rule is pure (:func:`act`); :class:`Child` carries it out. A child dies with its supervisor (PR_SET_PDEATHSIG),
so a killed supervisor leaves no orphan that would hold a port or a credential.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from sandbox.deployment.users import Account
from sandbox.errors import SandboxError

#: Seconds. A child ready this long has come back for good: its restarts are forgotten.
STEADY_S = 60.0
BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.25, 15.0
START_LIMIT_S = 60.0
STOP_GRACE_S = 15.0

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class State(StrEnum):
    WAITING = "waiting"  # for what it needs, or for its next attempt
    STARTING = "starting"
    READY = "ready"
    STOPPED = "stopped"


class Act(StrEnum):
    NOTHING = "nothing"
    START = "start"
    PROBE = "probe"  # ask whether it is ready
    KILL = "kill"  # it did not become ready in time
    BURY = "bury"  # it is dead: plan the next attempt


@dataclass(frozen=True)
class Program:
    """What to run, as whom, and how one knows that it is ready.

    ``before`` runs just before every start (a fresh credential); a SandboxError of it counts as a failed start.
    """

    name: str
    argv: tuple[str, ...]
    account: Account
    log: Path
    ready: Callable[[], bool]
    needs: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None
    stop_grace_s: float = STOP_GRACE_S
    umask: int = 0o077
    start_limit_s: float = START_LIMIT_S
    end_family: bool = True  # whether its own children end with it (a container's must not)


def backoff_s(restarts: int) -> float:
    """Seconds to wait before attempt ``restarts`` + 1: at once, then doubling up to a quarter of a minute."""
    return 0.0 if restarts == 0 else min(BACKOFF_FIRST_S * 2 ** (restarts - 1), BACKOFF_MAX_S)


def act(
    state: State,
    alive: bool,
    needs_ready: bool,
    now: float,
    since: float,
    not_before: float,
    start_limit_s: float,
) -> Act:
    """What to do with a child in ``state`` since ``since`` (monotonic seconds)."""
    if state is State.STOPPED:
        return Act.NOTHING
    if state is State.WAITING:
        return Act.START if needs_ready and now >= not_before else Act.NOTHING
    if not alive:
        return Act.BURY
    if state is State.STARTING:
        return Act.KILL if now - since > start_limit_s else Act.PROBE
    return Act.NOTHING


class Child:
    """One program's process. Single-threaded: the supervisor's loop calls :meth:`step`."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.state = State.WAITING
        self.restarts = 0
        self.fault = ""
        self._since = 0.0
        self._not_before = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def step(self, now: float, needs_ready: bool) -> None:
        alive = self._process is not None and self._process.poll() is None
        if self.state is State.READY and alive and now - self._since > STEADY_S:
            self.restarts = 0
        match self._act(now, needs_ready, alive):
            case Act.START:
                self._start(now)
            case Act.PROBE:
                if self.program.ready():
                    self.state, self._since, self.fault = State.READY, now, ""
            case Act.KILL:
                self._kill("was not ready in time", now)
            case Act.BURY:
                self._bury(now)
            case Act.NOTHING:
                pass

    def _act(self, now: float, needs_ready: bool, alive: bool) -> Act:
        limit = self.program.start_limit_s
        return act(self.state, alive, needs_ready, now, self._since, self._not_before, limit)

    def stop(self) -> None:
        """Ask it to end, wait, and end it. May run twice."""
        self.state = State.STOPPED
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(self.program.stop_grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._end_family(process)

    def report(self) -> dict[str, object]:
        """What ``status`` shows of it."""
        return {
            "state": self.state.value,
            "pid": self.pid if self.state in (State.STARTING, State.READY) else 0,
            "user": self.program.account.name,
            "restarts": self.restarts,
            "fault": self.fault,
            "log": str(self.program.log),
        }

    def _start(self, now: float) -> None:
        try:
            self.program.before()
            self._process = spawn(self.program)
        except (SandboxError, OSError) as fault:
            self._plan(f"could not start: {fault}", now)
            return
        self.state, self._since = State.STARTING, now

    def _kill(self, why: str, now: float) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._end_family(self._process)
        self._plan(why, now)

    def _bury(self, now: float) -> None:
        code = self._process.returncode if self._process else 0
        if self._process:
            self._end_family(self._process)
        self._plan(f"killed by signal {-code}" if code < 0 else f"ended with {code}", now)

    def _end_family(self, process: subprocess.Popen[bytes]) -> None:
        """What it started in its own session and left behind would hold its socket against its successor."""
        if self.program.end_family:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def _plan(self, fault: str, now: float) -> None:
        self.state, self.fault = State.WAITING, fault
        self._not_before = now + backoff_s(self.restarts)
        self.restarts += 1


def spawn(program: Program) -> subprocess.Popen[bytes]:
    """Start it as its account, with nothing of ours: no environment, no descriptor, no core dump, no terminal."""
    account = program.account
    switch = os.getuid() == 0
    log = os.open(program.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        if switch:
            os.fchown(log, account.uid, account.gid)
        return subprocess.Popen(
            program.argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(program.env),
            cwd="/",
            user=account.uid if switch else None,
            group=account.gid if switch else None,
            extra_groups=list(account.groups) if switch else None,
            umask=program.umask,
            start_new_session=True,
            # Runs after the change of user, which would clear the death signal.
            preexec_fn=_in_child,  # noqa: PLW1509 - two system calls, single-threaded
        )
    finally:
        os.close(log)


def _in_child() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
