"""A relay before an HTTP server on this machine: the distance to an object store, and the faults on the way.

One request a connection, as the server behind it closes each.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

PIECE = 1 << 20
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Meddling:
    """What becomes of one request: its head as passed on, an answer in the server's stead, or where the answer ends."""

    head: bytes
    answer: bytes | None = None
    cut_after: int | None = None  # bytes of the server's answer that the client gets; the server did its work


class Relay:
    """Listens on ``port`` (0: any); ``meddle`` sees every request's head."""

    def __init__(
        self, target: int, delay_s: float = 0.0, meddle: Callable[[bytes], Meddling] = Meddling, port: int = 0
    ) -> None:
        self._target, self.delay_s, self.meddle = target, delay_s, meddle
        self._listener = socket.create_server((HOST, port), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, name="relay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            came = b""
            while b"\r\n\r\n" not in came:
                piece = client.recv(PIECE)
                if not piece:
                    return
                came += piece
            head, _, body = came.partition(b"\r\n\r\n")
            plan = self.meddle(head)  # as they come: one that is given up meanwhile takes no later one's place
            time.sleep(self.delay_s)
            if plan.answer is not None:
                client.sendall(plan.answer)
                return
            with socket.create_connection((HOST, self._target)) as server:
                server.sendall(plan.head + b"\r\n\r\n" + body)
                onward = threading.Thread(target=_pump, args=(client, server, None), daemon=True)
                onward.start()
                _pump(server, client, plan.cut_after)
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
                onward.join(5)


def _pump(source: socket.socket, sink: socket.socket, most: int | None) -> None:
    """Until ``source`` ends; with ``most``, all of it is read and only so much passed on."""
    buffer, passed = memoryview(bytearray(PIECE)), 0
    with suppress(OSError):
        while got := source.recv_into(buffer):
            asks_for_more = not passed and buffer[:12].tobytes().endswith(
                b" 100"
            )  # "100 Continue" is no answer yet
            if asks_for_more:
                sink.sendall(buffer[:got])
                continue
            room = got if most is None else max(0, min(got, most - passed))
            sink.sendall(buffer[:room])
            passed += room
