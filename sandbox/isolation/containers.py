"""Containers of this installation: started, found again, read back, killed. What to run is in the spec."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.errors import EngineError, Usage
from sandbox.isolation import readback
from sandbox.isolation.engines import Engine, environment
from sandbox.isolation.spec import COMMAND, Spec
from sandbox.runs import ExitClass

APPEAR_S = 30.0
CLIENT_S = 30.0
STRUCK_S = 2.0
_POLL_S = 0.01


@dataclass
class Running:
    """A container whose foreground client is our child."""

    container: str
    pid: int
    client: subprocess.Popen[bytes]
    ordered: bool = False


class Containers:
    """One engine, one installation. Every method may be called from any thread."""

    def __init__(self, engine: Engine, state: Path, label: str) -> None:
        self._engine, self._state, self._label = engine, state.resolve(), label
        self._environment = environment(engine)
        self._running: dict[str, Running] = {}
        self._lock = threading.Lock()

    def start(self, spec: Spec) -> dict[str, Any]:
        """Start and wait until the first process is the keeper (and no longer the engine's own).

        Raises:
            Usage: a mount lies outside the installation.
            EngineError: the engine refused, or the container died.
        """
        if spec.engine != self._engine.name:
            raise Usage(f"this launcher drives {self._engine.name}, not {spec.engine}", code="engine.other")
        for source in spec.mounts.values():
            self._inside(source)
        with self._lock:
            if spec.run in self._running:
                raise Usage("this run was started before", code="run.started_twice")
            client = subprocess.Popen(
                self._engine.run(spec, self._label),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=self._environment,
                cwd=self._state,  # Podman's monitor leaves an empty file `oom` where it was started
            )
            running = Running("", 0, client)
            self._running[spec.run] = running
        try:
            running.container, running.pid = self._appear(spec.run, client)
        except EngineError:
            self.kill(spec.run)
            raise
        threading.Thread(target=_drain, args=(client,), daemon=True).start()
        return {
            "container_id": running.container,
            "pid": running.pid,
            "engine": self._engine.name,
        }

    def stdin(self, run: str, data: bytes) -> None:
        """Write the order once; then close."""
        running = self._known(run)
        with self._lock:
            if running.ordered or running.client.stdin is None:
                raise Usage("this run had its order before", code="run.ordered_twice")
            running.ordered = True
        try:
            with running.client.stdin as pipe:
                pipe.write(data)
        except OSError:
            raise EngineError("the container did not take its order") from None

    def readback(self, run: str) -> dict[str, object]:
        return readback.read(self._known(run).pid)

    def kill(self, run: str) -> None:
        """Kill by pid first (an engine may hang), then by the engine; return once it is gone."""
        with self._lock:
            running = self._running.get(run)
        container = running.container if running else ""
        if running and running.pid and running.client.poll() is None:
            with suppress(OSError):
                os.kill(running.pid, signal.SIGKILL)
        for found in self.list():
            if found["run"] == run:
                container = found["container_id"]
        if container:
            self._call(self._engine.remove(container), check=False)
        if running:
            with suppress(subprocess.TimeoutExpired):
                running.client.wait(CLIENT_S)

    def strike(self, runs: Sequence[str]) -> list[str]:
        """Kill the first process of every run, all of them before anything is waited for; those not seen dead in time.

        What was started here is killed by pid, whatever the engine does: with its first process a container's whole
        pid namespace dies (pid_namespaces(7)). Only for what another launcher started the engine is asked for the pid.
        """
        with self._lock:
            known = {run: self._running.get(run) for run in runs}
        pids = {}
        for run, running in known.items():
            if running is not None and running.pid:
                pids[run] = running.pid if running.client.poll() is None else 0
                _end(pids[run])
        for run, running in known.items():
            if running is None or not running.pid:
                pids[run] = self._found(run, running)
                _end(pids[run])
        deadline = time.monotonic() + STRUCK_S
        alive = [run for run in runs if pids[run]]
        while alive and time.monotonic() < deadline:
            alive = [run for run in alive if _lives(pids[run])]
            if alive:
                time.sleep(_POLL_S)
        return alive

    def _found(self, run: str, running: Running | None) -> int:
        """The pid by the engine; 0 where there is no such container, -1 where it is on its way or cannot be asked."""
        try:
            pid = self._inspect(run)[1]
        except EngineError:
            return -1
        return pid or (-1 if running is not None and running.client.poll() is None else 0)

    def wait(self, run: str) -> ExitClass:
        """Block until it has ended."""
        with self._lock:
            running = self._running.get(run)
        if running is None:
            while any(found["run"] == run for found in self.list()):
                time.sleep(0.2)
            return ExitClass.GONE
        code = running.client.wait()
        while any(found["run"] == run for found in self.list()):
            time.sleep(_POLL_S * 5)
        if code in (137, -signal.SIGKILL):
            return ExitClass.KILLED
        return ExitClass.ZERO if code == 0 else ExitClass.NONZERO

    def list(self) -> list[dict[str, Any]]:
        """Every container with our labels; pid 0 when it does not run."""
        found = []
        for line in self._call(self._engine.listing(self._label)).splitlines():
            run, _, container = line.partition(" ")
            with self._lock:
                running = self._running.get(run)
            pid = running.pid if running else self._inspect(run)[1]
            found.append({"run": run, "container_id": container.strip(), "pid": pid})
        return found

    def _appear(self, run: str, client: subprocess.Popen[bytes]) -> tuple[str, int]:
        deadline = time.monotonic() + APPEAR_S
        while time.monotonic() < deadline:
            if client.poll() is not None:
                raise EngineError(f"the engine did not start the container: {_said(client)}")
            container, pid = self._inspect(run)
            while pid and time.monotonic() < deadline and client.poll() is None:
                if _command(pid) == COMMAND:
                    return container, pid
                time.sleep(_POLL_S)
            time.sleep(_POLL_S)
        raise EngineError("the container did not appear in time")

    def _inspect(self, run: str) -> tuple[str, int]:
        words = self._call(self._engine.inspect(run), check=False).split()
        return (words[0], int(words[1])) if len(words) == 2 and words[1].isdigit() else ("", 0)

    def _known(self, run: str) -> Running:
        with self._lock:
            running = self._running.get(run)
        if running is None:
            raise EngineError("no such container was started here", code="run.unknown")
        return running

    def _inside(self, source: str) -> None:
        path = Path(source)
        if not path.resolve().is_relative_to(self._state) or not path.is_dir():
            raise Usage(
                "a mount's source lies outside the installation, or is no folder", code="mount.outside"
            )

    def _call(self, argv: Sequence[str], *, check: bool = True) -> str:
        try:
            done = subprocess.run(
                argv, env=self._environment, capture_output=True, text=True, timeout=CLIENT_S, check=False
            )
        except OSError:
            raise EngineError(f"{argv[0]} is not on this machine", mend=f"install {argv[0]}") from None
        except subprocess.TimeoutExpired:
            raise EngineError(f"{argv[0]} {argv[1]} hangs") from None
        if check and done.returncode != 0:
            raise EngineError(f"{argv[0]} {argv[1]} failed: {done.stderr.strip()[-300:]}")
        return done.stdout


def _command(pid: int) -> tuple[str, ...]:
    try:
        data = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(word.decode("utf-8", "replace") for word in data.split(b"\0") if word)


def _end(pid: int) -> None:
    if pid > 0:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _lives(pid: int) -> bool:
    """Whether a process runs; one that only waits to be buried does not (proc(5), state Z). -1: nobody knows."""
    if pid < 0:
        return True
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def _said(client: subprocess.Popen[bytes]) -> str:
    """The engine's own last words; the container's streams are not attached."""
    text = client.stderr.read(4096).decode("utf-8", "replace") if client.stderr else ""
    return text.strip()[-300:] or f"exit code {client.returncode}"


def _drain(client: subprocess.Popen[bytes]) -> None:
    if client.stderr is not None:
        with client.stderr as pipe:
            while pipe.read(1 << 16):
                pass
