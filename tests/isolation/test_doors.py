"""Doors: only the container's first process may come in, and a closed Vault door lets no byte pass."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.errors import ForeignPeer, VaultUnreachable
from sandbox.isolation.doors import EventsDoor, VaultDoor, make_folder, remove_folder, vault_target

KNOCK = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(1))"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path, "r-2345")


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that answers every byte with itself."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):  # a cut tunnel may reset it
                while data := connection.recv(1 << 16):
                    connection.sendall(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(2)


def knock(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(60)
    try:
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise
    return connection


def lives(connection: socket.socket) -> bool:
    """Whether bytes still pass."""
    try:
        connection.sendall(b"more")
        return bool(connection.recv(4))
    except OSError:
        return False


def serve_until_foreign(door: EventsDoor) -> None:
    """Serve until somebody who may not come in knocks."""
    for _ in range(120):
        door.accept()


def test_the_first_process_comes_in(folder: Path) -> None:
    door = EventsDoor(folder, os.getpid())
    with knock(folder / "events.sock") as mine:
        accepted = door.accept()
        assert accepted is not None
        with accepted:
            accepted.sendall(b"x")
            assert mine.recv(1) == b"x"
    door.close()
    assert not (folder / "events.sock").exists()


def test_another_process_of_the_same_user_is_refused(folder: Path) -> None:
    door = EventsDoor(folder, os.getpid())
    other = subprocess.Popen(
        [sys.executable, "-c", KNOCK, str(folder / "events.sock")], stdout=subprocess.PIPE, text=True
    )
    with pytest.raises(ForeignPeer):
        serve_until_foreign(door)
    assert other.communicate(timeout=60)[0].strip() == "b''"
    door.close()


def test_a_restarted_gate_binds_the_same_door_again(folder: Path) -> None:
    first = EventsDoor(folder, os.getpid())
    second = EventsDoor(folder, os.getpid())
    with knock(folder / "events.sock"):
        accepted = second.accept()
        assert accepted is not None
        accepted.close()
    first.close()
    second.close()


def test_an_overtaken_gate_leaves_its_successors_doors_alone(folder: Path, echo: tuple[str, int]) -> None:
    old = EventsDoor(folder, 1), VaultDoor(folder, echo, 1)
    new = EventsDoor(folder, 1), VaultDoor(folder, echo, 1)
    for door in old:
        door.close()
    assert old[1].closed and not new[1].closed
    assert sorted(path.name for path in folder.iterdir()) == ["events.sock", "vault.sock"]
    for door in new:
        door.close()
    assert new[1].closed and list(folder.iterdir()) == []


def test_the_vault_door_passes_bytes_until_it_is_closed(folder: Path, echo: tuple[str, int]) -> None:
    door = VaultDoor(folder, echo, os.getpid())
    with knock(folder / "vault.sock") as mine:
        mine.sendall(b"hello")
        assert mine.recv(5) == b"hello"
        with pytest.raises(OSError, match="refused"):
            knock(folder / "vault.sock")
        door.close()
        assert door.closed
        assert not lives(mine)
    with pytest.raises(OSError, match="No such file"):
        knock(folder / "vault.sock")


def test_a_stranger_at_the_vault_door_is_told_of_and_gets_nothing(
    folder: Path, echo: tuple[str, int]
) -> None:
    seen = threading.Event()
    door = VaultDoor(folder, echo, os.getpid(), seen.set)
    other = subprocess.run(
        [sys.executable, "-c", KNOCK, str(folder / "vault.sock")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert seen.wait(60)
    assert "b''" in other.stdout or "ConnectionReset" in other.stderr
    with knock(folder / "vault.sock") as mine:
        mine.sendall(b"still")
        assert mine.recv(5) == b"still"
    door.close()


def test_a_door_nobody_uses_closes_at_once(folder: Path, echo: tuple[str, int]) -> None:
    door = VaultDoor(folder, echo, os.getpid())
    started = time.monotonic()
    door.close()
    assert time.monotonic() - started < 3
    assert door.closed


def test_removing_a_folder_may_repeat(folder: Path) -> None:
    (folder / "events.sock").touch()
    remove_folder(folder)
    remove_folder(folder)
    assert not folder.exists()


@pytest.mark.parametrize("address", ["http://127.0.0.1:8200", "127.0.0.1:8200", "https://"])
def test_a_vault_without_tls_is_no_target(address: str) -> None:
    with pytest.raises(VaultUnreachable):
        vault_target(address)
