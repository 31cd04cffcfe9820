"""The operator's promises, on the real thing: it comes back whatever dies, and says clearly what it cannot do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from sandbox.client import Public
from sandbox.deployment.health import accepts, answers_http
from sandbox.deployment.locks import holder, only_one
from tests.e2e.conftest import OPERATOR, Stack

SERVICES = ("vault", "launcher", "custodian", "gate", "mlflow")


def test_everything_answers_as_its_own_user(stack: Stack) -> None:
    services = stack.board()["services"]
    assert {name: entry["state"] for name, entry in services.items()} == dict.fromkeys(SERVICES, "ready")
    if os.getuid() == 0:
        users = {name: entry["user"] for name, entry in services.items()}
        assert users["vault"] == "sandbox-vault" and users["custodian"] == "sandbox-custodian"
        assert users["gate"] == users["mlflow"] == "sandbox-gate"
    assert stack.ask(OPERATOR, "status").code == 0


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_killed_without_warning_comes_back(stack: Stack, service: str) -> None:
    before = stack.until_ready(service)
    os.kill(before, signal.SIGKILL)
    stack.until_ready(service, other_than=before)
    for name in SERVICES:
        stack.until_ready(name)
    assert stack.ask(OPERATOR, "status").code == 0


def test_the_gate_and_the_custodian_log_in_afresh_and_leave_no_login_behind(stack: Stack) -> None:
    for service in ("gate", "custodian"):
        stack.until_ready(service)
        assert not stack.places.wrap(service).exists()


def test_no_secret_stands_in_an_argument_or_environment(stack: Stack) -> None:
    for service in SERVICES:
        process = Path(f"/proc/{stack.until_ready(service)}")
        seen = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        assert b"hvs." not in seen and b"s." + b"VAULT_TOKEN" not in seen and b"VAULT_TOKEN" not in seen


def test_two_ups_at_once_the_second_says_so(stack: Stack) -> None:
    with only_one(stack.places.up_lock, "this test"):
        answer = stack.ask("somebody", "up")
    assert answer.code == 3 and answer.last["error"]["code"] == "up.already"


def test_up_again_changes_nothing(stack: Stack) -> None:
    before = {name: stack.until_ready(name) for name in SERVICES}
    started = time.monotonic()
    stack.must(OPERATOR, "up")
    assert {name: stack.pid(name) for name in SERVICES} == before
    assert time.monotonic() - started < 60


def test_a_supervisor_killed_without_warning_leaves_no_orphan_and_up_goes_on(stack: Stack) -> None:
    children = [stack.until_ready(name) for name in SERVICES]
    os.kill(holder(stack.places.supervisor_lock), signal.SIGKILL)
    end = time.monotonic() + 120
    while any(_lives(pid) for pid in children):
        assert time.monotonic() < end, "a service outlived its supervisor"
        time.sleep(0.1)
    before = Public.read(stack.house.state)
    stack.must(OPERATOR, "up")
    assert Public.read(stack.house.state) == before
    assert answers_http(stack.places.gate_socket) and answers_http(stack.places.custodian_socket)


def test_down_stops_all_and_up_finds_everything_again(stack: Stack) -> None:
    first = stack.must(OPERATOR, "up").last
    stack.must(OPERATOR, "down")
    assert holder(stack.places.supervisor_lock) == 0
    assert not accepts(stack.places.gate_socket) and not accepts(stack.places.launcher_socket)
    assert stack.ask(OPERATOR, "status").code == 5
    assert stack.must(OPERATOR, "up").last["web"] == first["web"]


def test_an_interrupt_in_the_middle_of_up_leaves_something_that_up_can_finish(stack: Stack) -> None:
    stack.must(OPERATOR, "down")
    # a shell that started these tests in the background had every child ignore the interrupt
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        stack.house._argv(["up"]), env=stack.house._environment(OPERATOR), stdout=subprocess.DEVNULL
    )
    signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 120
    while holder(stack.places.supervisor_lock) == 0:  # from here on there is something to take back
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(180) == 130
    assert holder(stack.places.supervisor_lock) == 0
    stack.must(OPERATOR, "up")


def test_a_taken_port_is_one_clear_line(stack: Stack, tmp_path: Path) -> None:
    stack.must(OPERATOR, "down")
    port = int(Public.read(stack.house.state).vault_addr.rpartition(":")[2])
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        answer = stack.ask(OPERATOR, "up")
    assert answer.code == 5 and answer.last["error"]["code"] == "port.taken"
    stack.must(OPERATOR, "up")


def test_doctor_finds_nothing_to_mend_then_finds_what_was_broken(stack: Stack) -> None:
    answer = stack.ask(OPERATOR, "doctor")
    assert answer.code == 0, answer.text
    stack.places.gate_private.chmod(0o755)
    broken = stack.ask(OPERATOR, "doctor")
    stack.places.gate_private.chmod(0o700)
    bad = [line for line in broken.lines if line.get("level") == "bad"]
    assert broken.code == 5 and [line["check"] for line in bad] == ["permissions"]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
