"""httpx over a Unix socket, leaking none when nobody listens (httpcore forgets the one it cannot connect)."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx


class UnixTransport(httpx.HTTPTransport):
    """Knocks before it lets httpcore connect: the first time, and again after every failure."""

    def __init__(self, path: Path) -> None:
        super().__init__(uds=str(path))
        self._path = str(path)
        self._known = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not self._known:
            self._knock(request)
        try:
            answer = super().handle_request(request)
        except httpx.TransportError:
            self._known = False
            raise
        self._known = True
        return answer

    def _knock(self, request: httpx.Request) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(5.0)
            try:
                probe.connect(self._path)
            except OSError as fault:
                raise httpx.ConnectError(str(fault), request=request) from fault
