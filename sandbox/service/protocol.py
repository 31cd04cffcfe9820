"""HTTP/1.1 as the services speak it: uvicorn's, with a bound on heads in bytes and seconds, and problems for answers.

On a Unix socket the peer is named by its user (SO_PEERCRED), so that strangers are counted apart from each other.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections import Counter
from http import HTTPStatus
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.errors import SandboxError, Usage
from sandbox.service.answers import refusal

#: Of a head that never ends; one that ends is held against the smaller bound of ``http``.
HEAD_BYTES = 32 << 10
HEAD_S = 20.0
CONNECTIONS_EACH = 256  # of one peer: a service has some 1000 files to open, for everybody and for its runs


class Protocol(H11Protocol):
    """One connection."""

    _head_timer: asyncio.TimerHandle | None = None
    _held: ClassVar[Counter[str]] = Counter()  # connections by peer; touched by the one event loop alone
    _peer = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if (user := _peer_user(transport)) is not None:
            self.client = (f"uid-{user}", 0)
        peer = self.client[0] if self.client else ""
        if self._held[peer] >= CONNECTIONS_EACH:
            transport.abort()
            return
        self._peer = peer
        self._held[peer] += 1
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if _named(self.conn.their_state) == "IDLE" and not self.transport.is_closing():
            self._await_head()
        else:
            self._head_came()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        if self._peer:
            self._held[self._peer] -= 1
            self._peer = ""
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP, or too long a head: a problem, and the connection closes."""
        if getattr(sys.exc_info()[1], "error_status_hint", 0) == 431:
            self._refuse(
                Usage(f"the request's head has more than {HEAD_BYTES} bytes", code="headers.too_large")
            )
        else:
            self._refuse(Usage("this is no HTTP request", code="request.malformed"))
        del msg

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_S, self._too_slow)

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if _named(self.conn.their_state) == "IDLE" and not self.transport.is_closing():
            self._refuse(
                Usage(f"the request's head was not there after {HEAD_S:g} s", code="request.timeout")
            )

    def _refuse(self, fault: SandboxError) -> None:
        answer = refusal(fault)
        if _named(self.conn.our_state) in ("IDLE", "SEND_RESPONSE"):  # nothing of an answer went out yet
            status = HTTPStatus(answer.status_code)
            head = [f"HTTP/1.1 {status.value} {status.phrase}".encode(), b"connection: close"]
            head += [name + b": " + value for name, value in answer.raw_headers]
            self.transport.write(b"\r\n".join(head) + b"\r\n\r\n" + bytes(answer.body))
        self.transport.close()


def _named(state: object) -> str:
    """A state of uvicorn's HTTP parser, by its name."""
    return str(getattr(state, "__name__", ""))


def _peer_user(transport: asyncio.Transport) -> int | None:
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family != socket.AF_UNIX:
        return None
    try:
        found = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except OSError:
        return None
    return int(struct.unpack("3i", found)[1])
