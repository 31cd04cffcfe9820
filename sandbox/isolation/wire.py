"""Between gate and launcher: one JSON line each way on a Unix socket; a connection asks once.

Requests: ``{"do": "start", "spec": {...}}``, ``{"do": "stdin", "run": R, "data": BASE64}``, and ``readback``, ``kill``,
``wait`` with ``run``, ``list``, ``describe``. Answers: ``{"ok": VALUE}`` or ``{"fault": {"code", "message", "mend"}}``.
"""

from __future__ import annotations

import json
import socket
from typing import Any

from sandbox.errors import FrameError

LINE_BYTES = 4 << 20  # an order with some hundred wrapped keys


def send_line(connection: socket.socket, value: Any) -> None:
    connection.sendall(json.dumps(value, separators=(",", ":")).encode() + b"\n")


def receive_line(connection: socket.socket) -> Any:
    """One line, parsed.

    Raises:
        FrameError: too long, torn, or no JSON object. Its bytes are never quoted.
    """
    line = bytearray()
    while not line.endswith(b"\n"):
        data = connection.recv(1 << 16)
        if not data or len(line) + len(data) > LINE_BYTES:
            raise FrameError("a message to the launcher is torn or too long")
        line += data
    try:
        value = json.loads(line)
    except ValueError:
        raise FrameError("a message to the launcher is no JSON") from None
    if not isinstance(value, dict):
        raise FrameError("a message to the launcher is no JSON object")
    return value
