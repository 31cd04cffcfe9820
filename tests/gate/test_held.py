"""After everything was stopped the gate has no login, and comes back only when somebody else resumes it."""

from __future__ import annotations

import threading

import pytest

from sandbox.errors import CredentialError, NotPermitted, Refused, VaultUnreachable
from sandbox.gate.incidents import catching_up, duties, held, incident, kill
from sandbox.gate.routes import standing
from sandbox.gate.upkeep import upkeep
from tests.gate.world import OPERATOR, admit, until

OTHER = "a.approver.1"


def test_a_kill_of_everything_ends_the_gates_own_login(world, gate):
    found = kill.stop(gate.house, "all", OPERATOR)
    assert gate.house.login.held and found["outstanding"] == []
    with pytest.raises(CredentialError):
        gate.house.vault.register_heads()
    with pytest.raises(Refused) as caught:
        admit(gate)
    assert [reason.code for reason in caught.value.reasons] == ["incident.open"]


def test_whoever_stopped_everything_does_not_resume_it_alone(gate):
    name = kill.stop(gate.house, "all", OPERATOR)["id"]
    with pytest.raises(NotPermitted) as caught:
        incident.resume(gate.house, name, OPERATOR)
    assert caught.value.code == "incident.own" and gate.house.login.held
    assert incident.resume(gate.house, name, OTHER) is True
    assert not gate.house.login.held


def test_two_kills_of_everything_take_two_resumptions(gate):
    first, second = (kill.stop(gate.house, "all", OPERATOR)["id"] for _ in range(2))
    assert incident.resume(gate.house, first, OTHER) is False and gate.house.login.held
    assert incident.resume(gate.house, second, OTHER) is True and not gate.house.login.held


def test_roles_are_known_without_vault_also_after_a_restart(world, gate):
    gate.registers.read()
    kill.stop(gate.house, "all", OPERATOR)
    world.hangs = {"vault": ("register_heads",)}
    second = world.gate()
    assert standing.OPERATOR in standing.roles(second.registers, OPERATOR)
    assert standing.roles(second.registers, "nobody.here") == ()


def test_the_login_is_lost_only_once_it_is_resumed(gate):
    name = kill.stop(gate.house, "all", OPERATOR)["id"]
    stop, lost, asked = threading.Event(), threading.Event(), threading.Semaphore(0)

    def renew() -> int:
        asked.release()
        return gate.house.vault.renew()

    thread = threading.Thread(target=upkeep, args=(gate, renew, stop, lost.set), daemon=True)
    thread.start()
    assert asked.acquire(timeout=60) and asked.acquire(timeout=60)  # it asked again, so it had stayed
    assert not lost.is_set()
    incident.resume(gate.house, name, OTHER)
    assert lost.wait(60)
    thread.join(60)


def test_a_gate_cut_off_before_it_ended_its_login_ends_what_it_is_given(world, gate, monkeypatch):
    monkeypatch.setattr(type(gate.house.login), "hold", lambda self, incident: None)
    monkeypatch.setattr(kill, "_login", lambda *given: None)
    kill.stop(gate.house, "all", OPERATOR)
    monkeypatch.undo()
    second = world.gate()
    assert not second.house.login.held
    held.begin(second.house)
    assert second.house.login.held
    with pytest.raises(CredentialError):
        second.house.vault.renew()
    until(lambda: catching_up.turn(second.house) == (0, 0))
    assert second.house.store.read(duties.outstanding) == []


def test_a_note_without_its_incident_is_taken_away(world, gate):
    gate.house.login.hold("i-gone")
    with pytest.raises(CredentialError):
        held.begin(gate.house)
    assert not gate.house.login.held
    held.begin(gate.house)


def test_identity_keys_are_those_that_vault_said_last_only_while_it_is_held(gate, tmp_path):
    answers = [{"keys": [1]}]

    def ask():
        if not answers:
            raise VaultUnreachable("Vault does not answer")
        return answers.pop()

    keys = held.kept_jwks(gate.house, ask, tmp_path / "jwks.json")
    assert keys() == {"keys": [1]}
    with pytest.raises(VaultUnreachable):
        keys()
    gate.house.login.hold("i-one")
    assert keys() == {"keys": [1]}


def test_a_code_is_not_asked_of_a_vault_that_knows_nobody(gate):
    asked = []
    prove = held.unless_held(gate.house, lambda *given: asked.append(given))
    prove("b.operator", "123456", False)
    gate.house.login.hold("i-one")
    prove("b.operator", "123456", False)
    assert asked == [("b.operator", "123456", False)]
