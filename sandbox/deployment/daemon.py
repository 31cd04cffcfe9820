"""The supervisor as ``up`` and ``down`` see it: started apart from any terminal, watched on its board, asked to end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.deployment import board
from sandbox.deployment.locks import UNNAMED, holder
from sandbox.deployment.places import Places
from sandbox.errors import NotPermitted, SandboxError, Unreachable

#: Seconds. The first time an image is built; the limit is for a supervisor that says nothing new, not for the whole.
SILENCE_S = 900.0
STOP_S = 90.0


def environment(places: Places, home: Path) -> dict[str, str]:
    """All that a program of ours gets to see of an environment: no secret, nothing of the caller's."""
    return {
        "PATH": f"{places.venv}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "PYTHONPATH": str(places.app),
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _kept() -> dict[str, str]:
    """What the image's build needs of the operator's environment: where it may write, and a base of their own."""
    names = ("BASE_IMAGE", "TMPDIR", "XDG_RUNTIME_DIR")
    return {name: os.environ[name] for name in names if name in os.environ}


def start(places: Places) -> None:
    """Start the supervisor, in a session of its own. It outlives this process."""
    log = os.open(
        places.logs / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600
    )
    places.status.unlink(missing_ok=True)
    try:
        process = subprocess.Popen(
            [str(places.python), "-m", "sandbox.deployment.supervisor", "--state", str(places.state)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={**environment(places, Path(os.environ.get("HOME", "/root"))), **_kept()},
            start_new_session=True,
            umask=0o022,
        )
    finally:
        os.close(log)
    try:
        for _ in range(200):
            if board.read(places) or process.poll() is not None:
                break
            time.sleep(0.05)
    except KeyboardInterrupt:
        process.terminate()  # it may hold no lock yet, by which it would be found
        raise
    if process.poll() not in (None, 0) and not board.read(places):
        raise SandboxError(
            "the supervisor did not start", code="up.failed", mend=f"read {places.logs}/supervisor.log"
        )


def watch(places: Places, seen: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Follow the board until everything is up; ``seen`` gets every change. Raises what the supervisor failed with."""
    last: dict[str, Any] = {}
    quiet_since = time.monotonic()
    while True:
        now = board.read(places)
        if now != last:
            last, quiet_since = now, time.monotonic()
            seen(now)
        if now.get("phase") == "up":
            return now
        if fault := now.get("failed"):
            raise _failure(fault)
        if not holder(places.supervisor_lock) and time.monotonic() - quiet_since > 5:
            raise SandboxError(
                "the supervisor ended early", code="up.failed", mend=f"read {places.logs}/supervisor.log"
            )
        if time.monotonic() - quiet_since > SILENCE_S:
            raise Unreachable("the supervisor says nothing new", mend=f"read {places.logs}/supervisor.log")
        time.sleep(0.1)


def stop(places: Places) -> bool:
    """Ask the supervisor to take everything down and wait for its end; False when there was none.

    Raises NotPermitted for somebody else's, SandboxError when it does not end.
    """
    asked, end = 0, time.monotonic() + STOP_S
    while pid := holder(places.supervisor_lock):
        if asked and pid not in (asked, UNNAMED):
            break  # another one came after it
        if not asked and pid != UNNAMED and _asked(pid):
            asked = pid
        if time.monotonic() > end:
            raise SandboxError(
                f"the supervisor (pid {pid}) does not end", mend=f"read {places.logs}/supervisor.log"
            )
        time.sleep(0.1)
    return asked != 0


def _asked(pid: int) -> bool:
    """False where there is no such process: who has just taken the lock writes its number a moment later."""
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return False
    except PermissionError:
        raise NotPermitted("the supervisor belongs to another Unix user", mend="ask the operator") from None
    return True


def _failure(fault: dict[str, str]) -> SandboxError:
    kind = Unreachable if fault.get("exit") == "5" else SandboxError
    return kind(fault.get("message", "failed"), code=fault.get("code"), mend=fault.get("mend", ""))
