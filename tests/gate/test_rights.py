"""What data subjects' rights ask of the gate: live runs stop, descendants are tainted, whoever read the entry first."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from sandbox.custodian.consent import withdraw_consent
from sandbox.errors import CredentialError, Refused, Unreachable
from sandbox.gate import upkeep
from sandbox.gate.database.tables import models
from sandbox.gate.ledger.invariants import broken
from sandbox.gate.subjects import rights
from tests.fakes.erasing import erase
from tests.fakes.studio import STEWARD
from tests.gate import scripts
from tests.gate.test_crashes import dies, revive
from tests.gate.world import ANNA, BEN, DATASET, admit, ended, listening, request, row, run_of, until


def taints(gate) -> dict[str, str | None]:
    rows = gate.house.store.read(lambda c: c.execute(sa.select(models)).all())
    return {f"{row.name}@{row.version}": row.taint for row in rows}


def honour(gate) -> None:
    rights.honour(gate, gate.registers.read())


@pytest.fixture
def kept_up(gate, monkeypatch):
    """The gate's upkeep, looking often."""
    monkeypatch.setattr(upkeep, "LOOK_S", 0.02)
    stop = threading.Event()
    thread = threading.Thread(target=upkeep.upkeep, args=(gate, lambda: 3600, stop, stop.set), daemon=True)
    thread.start()
    yield gate
    stop.set()
    thread.join(5)


@pytest.mark.parametrize(
    "act", [withdraw_consent, lambda d, c, ds, s: erase(d, c, s, ds)], ids=["withdraws", "is erased"]
)
def test_a_voice_that_leaves_ends_every_run_that_holds_it(world, gate, live, act):
    act(world.desk, STEWARD, DATASET, ANNA)
    honour(gate)
    found = ended(gate, live)
    assert (found.outcome, found.killed_by, found.kill) == ("killed", "gate", "a voice was withdrawn")
    assert broken(gate.house) == []


def test_a_run_without_that_voice_goes_on(world, gate):
    world.script = scripts.ends_when_asked
    run = admit(gate, request(subjects=(BEN,)))
    withdraw_consent(world.desk, STEWARD, DATASET, ANNA)
    honour(gate)
    assert row(gate, run).kill is None


def test_a_withdrawal_is_honoured_though_a_request_read_it_first(world, kept_up, live):
    until(lambda: kept_up.registers.heads() != {})
    withdraw_consent(world.desk, STEWARD, DATASET, ANNA)
    kept_up.registers.read()  # as every request does
    assert ended(kept_up, live).outcome == "killed"


def test_a_withdrawal_is_honoured_once_the_registers_can_be_read_again(world, kept_up, live, monkeypatch):
    until(lambda: kept_up.registers.heads() != {})
    heads = kept_up.house.vault.register_heads

    def fails():
        raise Unreachable("Vault is sealed")

    monkeypatch.setattr(kept_up.house.vault, "register_heads", fails, raising=False)
    withdraw_consent(world.desk, STEWARD, DATASET, ANNA)
    assert not kept_up.supervision.join(live, 0.2)
    monkeypatch.setattr(kept_up.house.vault, "register_heads", heads, raising=False)
    assert ended(kept_up, live).outcome == "killed"


def test_a_withdrawal_is_honoured_though_the_database_failed_once(world, kept_up, live, monkeypatch):
    until(lambda: kept_up.registers.heads() != {})
    read, failed = kept_up.registers.read, threading.Event()

    def fails():
        if not failed.is_set():
            failed.set()
            raise sa.exc.OperationalError("SELECT", {}, Exception("disk I/O error"))
        return read()

    monkeypatch.setattr(kept_up.registers, "read", fails)
    withdraw_consent(world.desk, STEWARD, DATASET, ANNA)
    assert ended(kept_up, live).outcome == "killed" and failed.is_set()


def test_a_dead_login_is_told_and_ends_the_upkeep(gate):
    def renew() -> int:
        raise CredentialError("the login is dead")

    lost = threading.Event()
    upkeep.upkeep(gate, renew, threading.Event(), lost.set)
    assert lost.is_set()


def test_erasure_taints_every_descendant_and_nothing_else(world, gate):
    run_of(gate)
    run_of(gate, request(subjects=(BEN,)))
    erase(world.desk, STEWARD, ANNA, DATASET)
    assert [fault.split(" ")[0] for fault in broken(gate.house)] == ["10."]
    honour(gate)
    why = f"erased {DATASET}/{ANNA}"
    assert taints(gate) == {"hum@1": why, "hum@2": None} and world.tracking.taints == {"hum@1": why}
    assert broken(gate.house) == []
    honour(gate)
    assert broken(gate.house) == []
    with pytest.raises(Refused):
        admit(gate, listening("hum@1"))


def test_a_model_that_is_registered_after_the_erasure_is_tainted_too(world):
    dies(world, "state ended")
    erase(world.desk, STEWARD, ANNA, DATASET)
    honour(world.gate())
    gate, _ = revive(world)
    assert taints(gate) == world.tracking.taints == {"hum@1": f"erased {DATASET}/{ANNA}"}
    assert broken(gate.house) == []


def test_a_taint_stands_though_mlflow_does_not_hear_of_it(world, gate):
    run_of(gate)
    erase(world.desk, STEWARD, ANNA, DATASET)
    world.tracking.fault = Unreachable("MLflow does not answer")
    honour(gate)
    assert taints(gate)["hum@1"] and world.tracking.taints == {}
