"""What a kill still owes: what hangs of one kind holds up no other kind."""

from __future__ import annotations

import threading

from sandbox.gate.incidents import catching_up, duties, freeze, incident
from sandbox.gate.incidents.duties import CONTAINER, CREDENTIAL, SHOWN, Duty
from sandbox.gate.incidents.stopped import KILL
from tests.gate.test_kill import credentials_of
from tests.gate.world import OPERATOR, admit

MANY = 20  # more than are tried beside each other
TURN_S = 2.0


def opened(gate) -> str:
    now = gate.house.clock()
    return gate.house.store.transact(
        lambda c: incident.open_for_scope(c, KILL, "person:b.nobody", OPERATOR, now)
    )


def test_marks_that_hang_hold_up_no_credential(gate, monkeypatch) -> None:
    held, name = threading.Event(), opened(gate)
    monkeypatch.setattr(freeze, "show", lambda house, model: held.wait(30))
    assert alive_after(gate, [Duty(name, SHOWN, f"m@{n}") for n in range(MANY)], opened(gate)) == []
    held.set()


def test_an_engine_that_hangs_holds_up_no_credential(gate, monkeypatch) -> None:
    held, name = threading.Event(), opened(gate)
    monkeypatch.setattr(gate.house.launcher, "kill", lambda run: held.wait(30), raising=False)
    assert alive_after(gate, [Duty(name, CONTAINER, f"r-x{n:03}", None) for n in range(MANY)], name) == []
    held.set()


def alive_after(gate, first: list[Duty], name: str) -> list[str]:
    """Which of a run's credentials, owed behind ``first``, live after two turns."""
    run = admit(gate)
    accessors = credentials_of(gate, run)
    owed = [*first, *(Duty(name, CREDENTIAL, accessor, run) for accessor in accessors)]
    gate.house.store.transact(lambda c: duties.owe(c, owed))
    for _ in range(2):
        catching_up.turn(gate.house, TURN_S)
    return [accessor for accessor in accessors if not gate.house.vault.is_dead(accessor)]
