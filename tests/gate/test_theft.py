"""Each theft that the gate sees by itself: an incident, no recipe code, and the thief's token dead.

What the keeper sees (a second unwrap, another path, a new wrap) is in ``tests/vault``; what Vault's audit file shows is
in ``test_detection.py``.
"""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from sandbox.errors import CredentialError
from sandbox.gate.database.tables import alerts, incidents
from sandbox.gate.incidents.incident import ALARMS
from sandbox.gate.ledger.invariants import broken
from sandbox.gate.runs import chronicle, unwrapping
from sandbox.gate.runs.launches import Launch
from sandbox.runs import RunState
from tests.fakes.keeper import begin
from tests.gate import scripts
from tests.gate.world import admit, ended, reaches, row, run_of, states


def opened(gate):
    return [i.kind for i in gate.house.store.read(lambda c: c.execute(sa.select(incidents)).all())]


def alerted(gate):
    return [a.rule for a in gate.house.store.read(lambda c: c.execute(sa.select(alerts)).all())]


def all_dead(gate, run):
    known = gate.house.store.read(lambda c: chronicle.accessors(c, run))
    return len(known) > 0 and all(gate.house.vault.is_dead(accessor) for accessor in known)


@pytest.fixture
def steals(world, monkeypatch):
    """A thief who opens the run's credential as soon as it is minted, before its container started; his token."""
    taken, mint = [], Launch.mint

    def minted(self, grant):
        order = mint(self, grant)
        taken.append(world.vault.session(order.unlock.token))
        return order

    monkeypatch.setattr(Launch, "mint", minted)
    return taken


def test_a_credential_opened_before_its_container_started_stops_the_run(world, gate, steals):
    found = run_of(gate)
    assert (found.outcome, found.failure) == ("failed", "credential.early")
    assert "ordered" not in states(gate, found.id) and world.engine.containers[found.id].order.empty()
    assert opened(gate) == ["credential.early"]
    assert alerted(gate) == ["incident.opened"]
    assert all_dead(gate, found.id)
    with pytest.raises(CredentialError):
        steals[0].revoke_self()
    assert broken(gate.house) == []


def test_a_wrap_that_ran_out_before_the_order_is_no_theft(world, gate, monkeypatch):
    start = Launch.start

    def slow(self):
        start(self)
        world.pass_time(seconds=61)

    monkeypatch.setattr(Launch, "start", slow)
    found = run_of(gate)
    assert (found.failure, opened(gate)) == ("credential.expired", [])
    assert all_dead(gate, found.id) and broken(gate.house) == []


def test_a_credential_that_nobody_opens_in_time_stops_the_run(world, gate, monkeypatch):
    """Its keeper came, and does not open what it was given: it is another than was started."""
    monkeypatch.setattr(unwrapping, "LOOK_S", 0.02)
    came, began = threading.Event(), []

    def dawdles(keeper):
        keeper.take_order()
        came.set()
        keeper.wait_for_go()
        began.append(keeper.grant.run)

    world.script = dawdles
    looked, is_dead = threading.Event(), gate.house.vault.is_dead

    def looks(accessor):
        looked.set()
        return is_dead(accessor)

    run = admit(gate)
    gate.supervision.begin(run)
    reaches(gate, run, RunState.ORDERED)
    assert came.wait(60)
    monkeypatch.setattr(gate.house.vault, "is_dead", looks, raising=False)
    world.pass_time(seconds=58)
    assert looked.wait(60)
    assert row(gate, run).state == "ordered" and opened(gate) == []
    world.pass_time(seconds=3)
    found = ended(gate, run)
    assert (found.outcome, found.failure, began) == ("failed", "credential.unopened", [])
    assert opened(gate) == ["credential.unopened"]
    assert all_dead(gate, run) and broken(gate.house) == []


def test_a_keeper_that_opened_in_time_may_take_longer_to_read(world, gate, monkeypatch):
    monkeypatch.setattr(unwrapping, "LOOK_S", 0.02)
    opened_all, go_on = threading.Event(), threading.Event()

    def reads_long(keeper):
        keeper.take_order()
        say, keeper.say = keeper.say, lambda *_, **__: None
        keeper.unlock()
        keeper.say = say
        opened_all.set()
        assert go_on.wait(60)
        keeper.say("unlocked", subjects=len(keeper.grant.subjects), seconds=61.0)
        keeper.wait_for_go()
        keeper.finish()

    world.script = reads_long
    run = admit(gate)
    gate.supervision.begin(run)
    assert opened_all.wait(60)
    world.pass_time(seconds=58)
    world.pass_time(seconds=3)
    go_on.set()
    assert ended(gate, run).failure is None and opened(gate) == []


def test_the_keeper_says_that_its_credential_was_used(world, gate):
    world.script = scripts.is_robbed
    found = run_of(gate)
    assert opened(gate) == ["credential.used"] and "training" not in states(gate, found.id)
    assert all_dead(gate, found.id)


def test_a_run_as_it_should_be_opens_nothing(world, gate):
    began = []

    def trains(keeper):
        begin(keeper)
        began.append(1)
        keeper.finish()

    world.script = trains
    assert run_of(gate).failure is None and began == [1] and opened(gate) == []


def test_every_form_is_an_alarm():
    assert {
        "credential.used",
        "credential.foreign",
        "credential.alive",
        "credential.early",
        "credential.unopened",
    } <= ALARMS
