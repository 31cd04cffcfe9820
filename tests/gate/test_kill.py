"""The kill switch against what hangs or fails: it stands at once, says what it could not do, and goes on trying."""

from __future__ import annotations

import time

import pytest
import sqlalchemy as sa

from sandbox.errors import Conflict, NotPermitted, Refused, Unreachable
from sandbox.gate.database.tables import duties as owed_rows
from sandbox.gate.incidents import catching_up, duties, incident, kill
from sandbox.gate.ledger.invariants import broken
from sandbox.gate.routes.standing import OPERATOR as OPERATES
from sandbox.gate.routes.standing import require_at_once
from sandbox.gate.runs.launches import Launch
from sandbox.gate.runs.leases import Lease
from sandbox.runs import RunState
from tests.gate import scripts
from tests.gate.world import AGREEMENT, OPERATOR, admit, ended, listening, reaches, row, run_of

SCOPE = f"agreement:{AGREEMENT}"
OTHER = "a.approver.1"
AT_ONCE_S = 20.0  # what hangs would take 60 s


def owed(gate):
    return gate.house.store.read(duties.outstanding)


def credentials_of(gate, run):
    launch = Launch(gate.house, Lease(run, "here:a", 1))
    for path in ("model-2.safetensors", "model-4.safetensors"):
        launch._know("artifact", gate.house.vault.new_artifact_key(AGREEMENT, run, path, 60), 60)
    gate.house.store.transact(launch.remember)
    return [one["accessor"] for one in launch.minted.rows]


def test_a_hung_vault_delays_neither_the_state_nor_the_containers(world, monkeypatch):
    monkeypatch.setattr(kill, "CREDENTIALS_S", 0.3)
    gate, world.script = world.gate(), scripts.waits
    live = admit(gate)
    gate.supervision.begin(live)
    reaches(gate, live, RunState.TRAINING)
    world.hangs = {"vault": ("revoke", "is_dead")}
    second = world.gate()
    accessors = credentials_of(second, live)
    began = time.monotonic()
    found = kill.stop(second.house, SCOPE, OPERATOR)
    assert time.monotonic() - began < AT_ONCE_S
    ms = {step["step"]: step["ms"] for step in reversed(found["timeline"])}
    assert max(ms["state"], ms["doors"], ms["container"]) <= ms["credential"]
    assert not world.engine.list() and row(second, live).kill == f"incident {found['id']}"
    assert len([one for one in found["outstanding"] if one["fault"] == "no answer in time"]) == len(accessors)
    world.hanging["vault"].release()
    assert ended(gate, live).outcome == "killed"
    while owed(second):
        catching_up.turn(second.house)
    assert all(second.house.vault.is_dead(accessor) for accessor in accessors)


def test_the_caller_is_known_while_vault_hangs(world):
    world.gate().registers.read()
    world.hangs = {"vault": ("register_heads",)}
    gate = world.gate()  # read nothing yet: it has its own log and the files
    began = time.monotonic()
    assert OPERATES in require_at_once(gate.registers, OPERATOR, OPERATES)
    with pytest.raises(NotPermitted):
        require_at_once(gate.registers, "eng.li", OPERATES)
    assert time.monotonic() - began < AT_ONCE_S


def test_what_was_not_done_is_owed_and_the_next_gate_does_it(world, gate, monkeypatch):
    run = admit(gate)
    accessors = credentials_of(gate, run)

    def refuses(accessor: str) -> None:
        raise Unreachable("500: its audit disk is full", code="vault.unreachable")

    monkeypatch.setattr(gate.house.vault, "revoke", refuses, raising=False)
    found = kill.stop(gate.house, SCOPE, OPERATOR)
    assert [one["fault"] for one in found["outstanding"]] == ["vault.unreachable"] * 2
    with pytest.raises(Conflict) as caught:
        incident.resume(gate.house, found["id"], OPERATOR)
    assert caught.value.code == "incident.outstanding"
    second = world.gate()
    assert catching_up.turn(second.house) == (2, 2) and owed(second) == []
    assert all(second.house.vault.is_dead(accessor) for accessor in accessors)
    incident.resume(second.house, found["id"], OPERATOR)


def test_a_credential_that_becomes_known_after_the_kill_is_owed_too(world, gate):
    run = admit(gate)
    world.engine.fault = Unreachable("the engine hangs", code="launcher.unreachable")
    kill.stop(gate.house, SCOPE, OPERATOR)
    (accessor, _) = credentials_of(gate, run)
    catching_up.turn(gate.house)
    assert gate.house.vault.is_dead(accessor)
    kinds = gate.house.store.read(lambda c: set(c.execute(sa.select(owed_rows.c.kind)).scalars()))
    assert kinds == {"container", "credential", "freeze"} and [one.kind for one in owed(gate)] == [
        "container"
    ]
    world.engine.fault = None
    catching_up.turn(gate.house)
    assert owed(gate) == []


def test_models_of_the_scope_are_frozen_refused_shown_and_free_again(world, gate):
    assert run_of(gate).outcome == "finished"
    found = kill.stop(gate.house, "person:eng.li", OPERATOR)
    assert found["models"] == ["hum@1"] and world.tracking.frozen == {"hum@1": found["id"]}
    with pytest.raises(Refused) as caught:
        gate.admission.ask(listening(), "eng.wu")
    assert "model.frozen" in {reason.code for reason in caught.value.reasons}
    shown = gate.house.store.read(lambda c: incident.shown(c, found["id"]))
    assert shown["affected"]["models"] == ["hum@1"] and shown["affected"]["datasets"] == ["digits"]
    assert "digits/spk_anna" in shown["affected"]["subjects"]
    assert broken(gate.house) == []
    incident.resume(gate.house, found["id"], OPERATOR)
    catching_up.turn(gate.house)
    assert world.tracking.frozen == {} and owed(gate) == []
    with pytest.raises(Refused) as caught:
        gate.admission.ask(listening(), "eng.wu")
    assert "model.frozen" not in {reason.code for reason in caught.value.reasons}


def test_a_kill_works_while_mlflow_is_down_and_tells_it_later(world, gate):
    run_of(gate)
    world.tracking.fault = Unreachable("MLflow is down", code="tracking.unreachable")
    found = kill.stop(gate.house, SCOPE, OPERATOR)
    assert [one["what"] for one in found["outstanding"]] == ["hum@1: frozen in MLflow"]
    world.tracking.fault = None
    catching_up.turn(gate.house)
    assert world.tracking.frozen == {"hum@1": found["id"]} and owed(gate) == []


def test_a_run_on_a_model_of_the_scope_dies_with_it(gate):
    made = run_of(gate)
    heard = admit(gate, listening())
    found = kill.stop(gate.house, f"run:{made.id}", OPERATOR)
    assert found["runs"] == [heard]
