"""The two sockets of a run, and who may knock.

A door lies in the run's own directory (0755, mounted read-only into the container) below a parent that is the gate's
alone (0700). Only the container's **first process** may come in: the trainer shares its uid, cgroup and mounts, so the
kernel is asked for the peer's pid (SO_PEERCRED) before a byte is read. A directory is mounted, not a socket, so a
restarted gate can bind again.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sandbox.errors import ForeignPeer, VaultUnreachable
from sandbox.runs import EVENTS_SOCKET, VAULT_SOCKET

ACCEPT_S = 0.5
TUNNEL_BYTES = 64 << 20
TUNNEL_S = 120.0


def make_folder(parent: Path, run: str) -> Path:
    """The door directory of one run. Repeating it is harmless."""
    folder = parent / run
    folder.mkdir(mode=0o755, exist_ok=True)
    folder.chmod(0o755)
    return folder


def remove_folder(folder: Path) -> None:
    """Unlink both doors and their directory. Repeating it is harmless."""
    for name in (EVENTS_SOCKET, VAULT_SOCKET):
        (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        folder.rmdir()


def close_folder(folder: Path) -> None:
    """Unlink both doors: nobody finds them any more. The directory stays for whoever settles the run."""
    for name in (EVENTS_SOCKET, VAULT_SOCKET):
        (folder / name).unlink(missing_ok=True)


def peer_pid(connection: socket.socket) -> int:
    """The pid of whoever connected, in the reader's pid namespace."""
    pid, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid)


def bind(path: Path) -> socket.socket:
    """Bind anew; whatever lay there is a door nobody serves any more. 0666: who may reach it is the parent's matter."""
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    path.chmod(0o666)
    server.listen(4)
    return server


def identity(path: Path) -> tuple[int, int]:
    """Which file lies there: an inode's number alone is given out again, its times are not. (0, 0): none."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_ctime_ns


def unbind(path: Path, door: tuple[int, int]) -> None:
    """Unlink the door that was bound, unless another gate bound the place anew: then it is that gate's."""
    if identity(path) == door:
        path.unlink(missing_ok=True)


class EventsDoor:
    """The gate's end of ``events.sock``."""

    def __init__(self, folder: Path, expect_pid: int) -> None:
        self._path, self._expect = folder / EVENTS_SOCKET, expect_pid
        self._server = bind(self._path)
        self._door = identity(self._path)
        self._server.settimeout(ACCEPT_S)

    def accept(self) -> socket.socket | None:
        """The keeper's connection, or None when nobody came within half a second.

        Raises:
            ForeignPeer: somebody else knocked; their connection was closed unread. It is an incident.
        """
        try:
            connection, _ = self._server.accept()
        except (TimeoutError, OSError):
            return None
        if peer_pid(connection) != self._expect:
            connection.close()
            raise ForeignPeer("a process that is not the container's first knocked at the events door")
        connection.setblocking(True)
        return connection

    def close(self) -> None:
        self._server.close()
        unbind(self._path, self._door)


class VaultDoor:
    """A byte tunnel to Vault's TLS listener and nowhere else, for one connection, until it is closed.

    TLS runs end to end between keeper and Vault: what passes here is ciphertext.
    """

    def __init__(
        self,
        folder: Path,
        target: tuple[str, int],
        expect_pid: int,
        foreign: Callable[[], None] = lambda: None,
    ) -> None:
        self._path, self._target, self._expect, self._foreign = (
            folder / VAULT_SOCKET,
            target,
            expect_pid,
            foreign,
        )
        self._server = bind(self._path)
        self._door = identity(self._path)
        self._server.settimeout(ACCEPT_S)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="vault-door", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Cut the tunnel and take the door away; no byte passes after this returns."""
        self._closed.set()
        unbind(self._path, self._door)
        self._thread.join(5)
        self._server.close()

    @property
    def closed(self) -> bool:
        gone = identity(self._path) != self._door
        return self._closed.is_set() and not self._thread.is_alive() and gone

    def _serve(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._server.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            with connection:
                if peer_pid(connection) != self._expect:
                    self._foreign()
                    continue
                self._server.close()  # one connection: nobody else, not even the keeper again
                with contextlib.suppress(OSError), socket.create_connection(self._target, timeout=5) as vault:
                    self._pump(connection, vault)
                return

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        left, deadline = TUNNEL_BYTES, time.monotonic() + TUNNEL_S
        across = {one: other, other: one}
        one.settimeout(5)
        while not self._closed.is_set() and left > 0 and time.monotonic() < deadline:
            ready, _, _ = select.select([one, other], [], [], 0.05)
            for source in ready:
                data = source.recv(min(left, 1 << 16))
                if not data:
                    return
                across[source].sendall(data)
                left -= len(data)


def vault_target(address: str) -> tuple[str, int]:
    """Host and port of ``https://HOST:PORT``.

    Raises:
        VaultUnreachable: no TLS, or no host.
    """
    from urllib.parse import urlsplit

    parts = urlsplit(address)
    if parts.scheme != "https" or not parts.hostname:
        raise VaultUnreachable(f"Vault's address must be https://HOST:PORT, not {address!r}")
    return parts.hostname, parts.port or 8200
