"""The launcher's socket: one owner, one request a connection, nothing but specs, and no fault that ends it."""

from __future__ import annotations

import base64
import json
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.errors import EngineError, Unreachable, Usage
from sandbox.isolation import launcher as program
from sandbox.isolation.containers import Containers
from sandbox.isolation.launcher import Desk, listen
from sandbox.isolation.launcher_client import Launcher
from sandbox.isolation.spec import Spec
from sandbox.isolation.wire import LINE_BYTES
from sandbox.runs import ExitClass
from tests.isolation.stub_engine import StubEngine

RUN = "r-2345"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    for name in ("run", "doors", "recipe"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def spec(state: Path) -> Spec:
    return Spec(RUN, "0" * 64, str(state / "doors"), str(state / "recipe"))


@pytest.fixture
def desk(state: Path) -> Iterator[Path]:
    """A launcher that serves; its socket's path."""
    containers = Containers(StubEngine.make(state / "stub"), state, "label")
    serving = Desk(containers, os.getuid())
    path = state / "run" / "launcher.sock"
    server = listen(path, os.getuid())

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serving.serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield path
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)
    for found in containers.list():
        containers.kill(found["run"])
    for running in containers._running.values():
        running.client.wait(60)
    for reader in (thread for thread in threading.enumerate() if "(_drain)" in thread.name):
        reader.join(2)  # it closes its end itself; closed under its hands, it would raise
    for running in containers._running.values():
        for pipe in (running.client.stdin, running.client.stderr):
            if pipe is not None:
                pipe.close()


def say(path: Path, data: bytes) -> dict[str, Any]:
    """Raw bytes to the launcher; its answer, ``{}`` for none."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(path))
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answer:
            return dict(json.loads(answer.readline() or b"{}"))


def test_a_run_from_start_to_end(desk: Path, spec: Spec) -> None:
    launcher = Launcher(desk)
    started = launcher.start(spec)
    assert [(found.run, found.container_id, found.pid) for found in launcher.list()] == [
        (RUN, started.container_id, started.pid)
    ]
    assert launcher.readback(RUN)["command"]
    launcher.stdin(RUN, b"an order")
    assert launcher.wait(RUN) is ExitClass.ZERO
    assert launcher.list() == []


@pytest.mark.parametrize(("order", "ended"), [(b"fail", ExitClass.NONZERO), (b"", ExitClass.ZERO)])
def test_of_an_exit_code_only_its_class_is_told(
    desk: Path, spec: Spec, order: bytes, ended: ExitClass
) -> None:
    launcher = Launcher(desk)
    launcher.start(spec)
    launcher.stdin(RUN, order)
    assert launcher.wait(RUN) is ended


def test_a_large_order_goes_down_whole(desk: Path, spec: Spec) -> None:
    launcher = Launcher(desk)
    launcher.start(spec)
    launcher.stdin(RUN, b"x" * (1 << 20))
    assert launcher.wait(RUN) is ExitClass.ZERO


def test_a_kill_is_seen_by_who_waits_and_may_repeat(desk: Path, spec: Spec) -> None:
    launcher = Launcher(desk)
    launcher.start(spec)
    with pytest.raises(TimeoutError):
        launcher.wait(RUN, timeout_s=0.2)
    launcher.kill(RUN)
    assert launcher.wait(RUN) is ExitClass.KILLED
    launcher.kill(RUN)
    launcher.kill("r-never")


def test_a_client_that_leaves_in_the_middle_changes_nothing(desk: Path, spec: Spec) -> None:
    launcher = Launcher(desk)
    launcher.start(spec)
    for data in (b"", b'{"do": "wait", "run": "r-2345"}\n', b'{"do": "li'):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(desk))
            connection.sendall(data)
    assert [found.run for found in launcher.list()] == [RUN]
    launcher.stdin(RUN, b"an order")
    assert launcher.wait(RUN) is ExitClass.ZERO


FALSE = {
    "no JSON": b"hello\n",
    "no object": b"[1]\n",
    "no line": b'{"do": "list"}',
    "nothing": b"\n",
    "not UTF-8": b"\xff\xfe\n",
    "an unknown request": b'{"do": "exec", "argv": ["sh"]}\n',
    "no request": b"{}\n",
    "no spec": b'{"do": "start"}\n',
    "a spec that is none": b'{"do": "start", "spec": {"argv": ["sh"]}}\n',
    "a spec that is a word": b'{"do": "start", "spec": "sh"}\n',
    "an order that is not base64": b'{"do": "stdin", "run": "r-2345", "data": "%%%"}\n',
    "a run nobody started": b'{"do": "readback", "run": "r-9999"}\n',
    "an order for nobody": b'{"do": "stdin", "run": "r-9999", "data": ""}\n',
}


@pytest.mark.parametrize("data", FALSE.values(), ids=FALSE.keys())
def test_a_false_request_is_one_fault_and_the_launcher_goes_on(desk: Path, data: bytes) -> None:
    assert set(say(desk, data)) == {"fault"}
    assert say(desk, b'{"do": "list"}\n') == {"ok": {"containers": []}}


def test_a_fault_never_quotes_the_order(desk: Path) -> None:
    secret = base64.b64encode(b"a wrapped credential").decode()
    for data in (f'{{"do": "stdin", "run": "r-9999", "data": "{secret}"}}\n', f'{{"do": "{secret}"', secret):
        assert secret not in json.dumps(say(desk, data.encode()))


def test_a_message_over_the_bound_is_refused_unread(desk: Path) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(desk))
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            connection.sendall(b"x" * (2 * LINE_BYTES))
    assert say(desk, b'{"do": "list"}\n') == {"ok": {"containers": []}}


def test_one_connection_asks_once(desk: Path) -> None:
    assert say(desk, b'{"do": "list"}\n' * 2)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(desk))
        connection.sendall(b'{"do": "list"}\n')
        with connection.makefile("rb") as answer:
            assert answer.readline()
            assert answer.readline() == b""


def test_the_socket_is_its_owners_alone(desk: Path) -> None:
    found = desk.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o600, os.getuid())


def test_a_stranger_who_reaches_the_socket_gets_no_answer(
    desk: Path, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "peer_uid", lambda _: os.getuid() + 1)
    with pytest.raises(Unreachable):
        Launcher(desk).start(spec)
    monkeypatch.undo()
    assert Launcher(desk).list() == []


def test_the_kernel_is_asked_who_calls() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert program.peer_uid(one) == os.getuid()


@pytest.mark.parametrize("field", ["doors", "recipe", "data", "inputs"])
def test_a_mount_outside_the_installation_is_refused(desk: Path, spec: Spec, field: str) -> None:
    with pytest.raises(Usage, match="outside the installation"):
        Launcher(desk).start(Spec(**{**spec.to_json(), field: "/etc"}))
    assert Launcher(desk).list() == []


def test_an_engine_that_this_launcher_does_not_drive_is_refused(desk: Path, spec: Spec) -> None:
    with pytest.raises(Usage, match="drives podman"):
        Launcher(desk).start(Spec(**{**spec.to_json(), "engine": "docker"}))


def test_the_errors_of_the_engine_cross_the_socket(desk: Path) -> None:
    with pytest.raises(EngineError, match="no such container") as caught:
        Launcher(desk).readback("r-9999")
    assert caught.value.code == "run.unknown"


def test_without_a_launcher_one_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as caught:
        Launcher(tmp_path / "none.sock").list()
    assert caught.value.code == "launcher.unreachable"


def test_a_restarted_launcher_binds_the_same_socket(state: Path) -> None:
    path = state / "run" / "again.sock"
    first = listen(path, os.getuid())
    second = listen(path, os.getuid())
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        second.settimeout(60)
        second.accept()[0].close()
    first.close()
    second.close()


def test_requests_do_not_wait_for_each_other(desk: Path, spec: Spec) -> None:
    """A ``wait`` blocks until the run ends; a kill must pass it."""
    launcher = Launcher(desk)
    launcher.start(spec)
    seen: list[ExitClass] = []
    waiter = threading.Thread(target=lambda: seen.append(launcher.wait(RUN)))
    waiter.start()
    time.sleep(0.1)
    launcher.kill(RUN)
    waiter.join(60)
    assert seen == [ExitClass.KILLED]
