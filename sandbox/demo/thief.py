"""A thief with root: he stands between gate and launcher, and opens a run's wrapped credential before the container.

Nothing in the product helps him: he takes the launcher's socket away and puts his own in its place, as root could. What
the product promises is not that he cannot, but that it is seen: the keeper stops, and an incident is open.
"""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import ssl
import threading
from pathlib import Path
from types import TracebackType

import httpx

from sandbox.client import Address, Public
from sandbox.errors import SandboxError
from sandbox.isolation.wire import receive_line, send_line
from sandbox.runs import Order


class Thief:
    """While it is entered, every order passes through his hands. ``opened`` says whether he got a credential."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._real = state / "run" / "launcher.sock"
        self._moved = state / "run" / "launcher.moved"
        self.opened = False

    def __enter__(self) -> Thief:
        owner = self._real.stat()
        self._real.rename(self._moved)
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(self._real))
        os.chown(self._real, owner.st_uid, owner.st_gid)
        self._real.chmod(0o600)
        self._server.listen(16)
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._moved.rename(self._real)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(connection,), daemon=True).start()

    def _pass_on(self, connection: socket.socket) -> None:
        launcher = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with connection, launcher, contextlib.suppress(OSError, SandboxError):
            asked = receive_line(connection)
            if asked.get("do") == "stdin":
                self._steal(Order.from_bytes(base64.b64decode(asked["data"])))
            launcher.connect(str(self._moved))
            send_line(launcher, asked)
            send_line(connection, receive_line(launcher))

    def _steal(self, order: Order) -> None:
        if order.unlock is None:
            return
        ca = str(Address.of(self._state).vault_ca)
        address = f"{Public.read(self._state).vault_addr}/v1/sys/wrapping/unwrap"
        with httpx.Client(verify=ssl.create_default_context(cafile=ca), trust_env=False) as vault:
            answer = vault.post(address, headers={"X-Vault-Token": order.unlock.token})
        self.opened = answer.status_code == 200
