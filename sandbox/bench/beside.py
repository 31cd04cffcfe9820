"""A server of ours in a process of its own, for as long as it is measured or tested with."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.errors import EngineError

HOST = "127.0.0.1"
START_S = 120.0


@contextmanager
def running(module: str, *arguments: object, port: int) -> Iterator[None]:
    """``python -m module arguments``, once ``port`` is listened on. Raises EngineError when it does not come up."""
    environment = {"PATH": os.environ.get("PATH", ""), "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", module, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**environment, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    try:
        _until_it_answers(process, port, module)
        yield
    finally:
        process.terminate()
        process.wait(60)


def _until_it_answers(process: subprocess.Popen[bytes], port: int, module: str) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection((HOST, port), timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise EngineError(f"{module} does not come up on port {port}")
