"""The launcher: the one program that holds the engine.

``python -m sandbox.isolation.launcher --state S --owner-uid N``

1. Only the owner (the gate's Unix user) may speak to it: the socket is 0600 and the kernel is asked who calls.
2. It builds the engine's arguments itself, from a spec that has no field for one, and refuses mounts
   outside the state directory.
3. It passes an order on and keeps nothing of it.
4. It decides nothing: who may run what is the gate's.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sandbox.errors import EngineError, SandboxError, Usage
from sandbox.isolation.containers import Containers
from sandbox.isolation.engines import engine
from sandbox.isolation.spec import Spec
from sandbox.isolation.wire import receive_line, send_line
from sandbox.statements import sha256

ASK_S = 30.0


class Desk:
    """Answers requests, one a connection."""

    def __init__(self, containers: Containers, owner_uid: int) -> None:
        self._containers, self._owner_uid = containers, owner_uid
        self._answers: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "start": lambda asked: containers.start(Spec.from_json(asked["spec"])),
            "stdin": lambda asked: containers.stdin(
                asked["run"], base64.b64decode(asked["data"], validate=True)
            ),
            "readback": lambda asked: containers.readback(asked["run"]),
            "kill": lambda asked: containers.kill(asked["run"]),
            "strike": lambda asked: {"alive": containers.strike([str(run) for run in asked["runs"]])},
            "wait": lambda asked: {"exit": containers.wait(asked["run"]).value},
            "list": lambda _: {"containers": containers.list()},
        }

    def serve(self, connection: socket.socket) -> None:
        """One request, one answer; a stranger gets none."""
        with connection:
            if peer_uid(connection) not in (self._owner_uid, 0):
                return
            connection.settimeout(ASK_S)
            try:
                asked = receive_line(connection)
                answer = {"ok": self._answer(asked)}
            except SandboxError as fault:
                detail = {
                    "code": fault.code,
                    "message": fault.message,
                    "mend": fault.mend,
                    "exit": fault.exit_code,
                }
                answer = {"fault": detail}
            except OSError:
                return
            connection.settimeout(ASK_S)
            try:
                send_line(connection, answer)
            except OSError:
                return

    def _answer(self, asked: Mapping[str, Any]) -> Any:
        answer = self._answers.get(str(asked.get("do")))
        if answer is None:
            raise Usage("the launcher does not know this request")
        try:
            return answer(asked)
        except (KeyError, TypeError, ValueError):
            raise Usage("a request to the launcher lacks something") from None


def peer_uid(connection: socket.socket) -> int:
    """The uid of whoever connected (SO_PEERCRED, unix(7))."""
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)


def listen(path: Path, owner_uid: int) -> socket.socket:
    """A socket that only the owner may open, from its first moment on."""
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        server.bind(str(path))
    finally:
        os.umask(before)
    if os.getuid() == 0:
        os.chown(path, owner_uid, -1)
    server.listen(64)
    return server


def _note(**fields: str) -> None:
    """One JSON line in the log; never a word of a request."""
    sys.stderr.write(json.dumps(fields) + "\n")
    sys.stderr.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="sandbox.isolation.launcher")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--owner-uid", type=int, required=True)
    given = parser.parse_args()
    app = given.state / "app"
    public = json.loads((app / "public.json").read_text())
    chosen = engine(
        str(public.get("engine", "podman")), app / "docker/seccomp.json", app / "docker/containers.conf"
    )
    label = sha256(str(given.state.resolve()).encode())[:16]
    desk = Desk(Containers(chosen, given.state, label), given.owner_uid)
    server = listen(given.state / "run" / "launcher.sock", given.owner_uid)
    _note(event="listening", engine=chosen.name)
    while True:
        connection, _ = server.accept()
        threading.Thread(target=desk.serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (EngineError, OSError, ValueError) as problem:
        _note(event="stopped", fault=type(problem).__name__)
        sys.exit(5)
