"""The trainer as the container runs it, watched from the ``go`` on: until then there is no key and no data.

``python -m tests.training.trainer_program FD FOLDER``. At the ``go`` it looks for a file :data:`MARK`, which strace
shows; with ``AUDIT`` in the environment a hook then tells that descriptor what Python writes, connects and starts.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

from sandbox.frames import Frame
from sandbox.training.pipe import Pipe
from sandbox.training.worker import serve

MARK = "/the-credential-is-dead"
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
FORBIDDEN = (
    "socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "pty.", "os.mkdir",
    "os.mkfifo", "os.rename", "os.link", "os.symlink", "os.truncate", "shutil.", "tempfile.",
)  # fmt: skip


class Watched(Pipe):
    """The pipe, which says when the ``go`` has come."""

    def receive(self) -> Frame:
        frame = super().receive()
        if frame.kind == "go":
            Path(MARK).exists()
            if "AUDIT" in os.environ:
                sys.addaudithook(teller(int(os.environ["AUDIT"])))
        return frame


def teller(fd: int) -> Any:
    """A hook that writes a line to ``fd`` for whatever must not happen."""

    def hook(event: str, args: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(args[2], int) and args[2] & WRITES
        if writes or event.startswith(FORBIDDEN):
            os.write(fd, f"{event} {args[:2]!r}\n".encode())

    return hook


def main(argv: list[str]) -> int:
    return 0 if serve(Watched(socket.socket(fileno=int(argv[1]))), Path(argv[2])) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
