"""The gate is killed at each state and at each effect; the next one converges, and every invariant holds."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import pytest
import sqlalchemy as sa

from sandbox.gate.database.tables import budget, models
from sandbox.gate.gate import Gate
from sandbox.gate.ledger.invariants import broken
from sandbox.gate.runs import chronicle, leases
from sandbox.gate.runs.intake import Intake
from sandbox.runs import RunState
from tests.fakes.keeper import SLICE_S, Keeper, Script, begin
from tests.fakes.power import PowerCut
from tests.gate import scripts
from tests.gate.world import World, admit, ended, only_run, reaches, row, states

#: Where the power goes -> the state in which the next gate finds the run, and how it ends.
AS_IF_NOTHING = {
    "state admitted": "admitted",
    "after vault.signer": "admitted",
    "after tracking.open_run": "admitted",
    "state ordered": "ordered",
    "stored 1": "ordered",
    "state unlocked": "unlocked",
    "state training": "training",
    "stored 13": "training",  # the keeper's last word: it still waits to hear that it was kept
    "after launcher.kill": "training",
    "state ended": "ended",
    "proof container": "ended",
    "proof credentials": "ended",
    "proof doors": "ended",
    "proof artifacts": "ended",
    "proof model": "ended",
    "proof statement": "ended",
    "after tracking.register_model": "ended",
    "proof tracking": "ended",
    "proof staging": "ended",
    "state settled": "settled",
    "before vault.write_budget": "admitted",
    "after vault.write_budget": "admitted",
}
NEVER_AGAIN = {
    "state prepared": "prepared",
    "after vault.mint_run": "prepared",
    "after vault.new_artifact_key": "prepared",
    "after vault.audit_hash": "prepared",
    "state minted": "minted",
    "after launcher.start": "minted",
    "after launcher.readback": "minted",
    "state started": "started",
    "after vault.is_dead": "started",
    "after launcher.stdin": "started",
}


def dies(world: World, point: str) -> str:
    """A gate that loses its power at ``point``; the run that it had."""
    gate = world.gate(point)
    with suppress(PowerCut):
        gate.supervision.begin(admit(gate))
    for name in list(gate.supervision._threads):
        assert gate.supervision.join(name, 60)
    assert world.power.off.is_set(), f"it never came to {point}"
    return only_run(gate)


def revive(world: World) -> tuple[Gate, str]:
    """The next gate, which takes in hand what it finds."""
    gate = world.gate()
    run = only_run(gate)
    if row(gate, run).state == "prepared":
        world.pass_time(seconds=2 * world.settings.credential_ttl_s + 4)
    gate.supervision.converge()
    ended(gate, run)
    return gate, run


@pytest.mark.parametrize(("point", "state"), AS_IF_NOTHING.items(), ids=AS_IF_NOTHING)
def test_a_run_goes_on_as_if_nothing_had_happened(world, point, state):
    dies(world, point)
    before = only_run(world.gate())
    assert row(world.gates[-1], before).state == state
    gate, run = revive(world)
    found = row(gate, run)
    assert (found.outcome, found.failure, found.model) == ("finished", None, "hum v1")
    assert world.engine.started == [run] and world.tracking.models == {"hum@1": run}
    assert len(states(gate, run)) == len(set(states(gate, run))) == 9
    assert broken(gate.house) == []


@pytest.mark.parametrize(("point", "state"), NEVER_AGAIN.items(), ids=NEVER_AGAIN)
def test_what_had_begun_and_gave_no_order_fails_and_is_released(world, point, state):
    dies(world, point)
    assert row(world.gate(), only_run(world.gates[-1])).state == state
    gate, run = revive(world)
    found = row(gate, run)
    assert (found.outcome, found.failure) == ("failed", "gate.restarted")
    kinds = gate.house.store.read(lambda c: set(c.execute(sa.select(budget.c.kind)).scalars()))
    assert kinds == {"reserved", "released"} and len(world.engine.started) <= 1
    assert not any(
        token.policies[0].startswith("run-") and world.vault.live(name)
        for name, token in world.vault.tokens.items()
    )
    assert not any(wrap.ends > world.clock().timestamp() for wrap in world.vault.wraps.values())
    assert broken(gate.house) == []


def test_nothing_is_settled_while_an_unknown_credential_may_live(world):
    dies(world, "after vault.mint_run")
    gate = world.gate()
    gate.supervision.converge()
    assert not gate.supervision.join(only_run(gate), 0.3)
    world.pass_time(seconds=world.settings.wrap_ttl_s + 2)  # the wrap is dead; the token inside outlives it
    assert not gate.supervision.join(only_run(gate), 0.3)
    world.pass_time(seconds=world.settings.credential_ttl_s)
    assert ended(gate, only_run(gate)).outcome == "failed"


@pytest.mark.parametrize(
    "point", ["state minted", "after launcher.start", "state training", "proof container"]
)
def test_between_two_gates_every_invariant_holds(world, point):
    dies(world, point)
    assert broken(world.gate().house) == []


@pytest.mark.parametrize("first", ["state ordered", "state ended"])
@pytest.mark.parametrize("second", ["state settled", "proof statement"])
def test_a_gate_that_dies_twice_still_ends_the_run_once(world, first, second):
    run = dies(world, first)
    again = world.gate(second)
    again.supervision.converge()
    assert again.supervision.join(run, 60) and world.power.off.is_set()
    gate, run = revive(world)
    assert row(gate, run).outcome == "finished" and broken(gate.house) == []


def test_a_run_that_was_killed_while_no_gate_lived_is_settled_as_killed(world):
    dies(world, "state training")
    idle = world.gate()
    now = world.clock()
    idle.house.store.transact(lambda c: chronicle.ask_kill(c, only_run(idle), "b.operator", "asked", now))
    gate, run = revive(world)
    assert row(gate, run).outcome == "killed" and world.engine.list() == []
    assert broken(gate.house) == []


def test_a_container_that_died_while_no_gate_lived_fails_the_run(world):
    run = dies(world, "state training")
    world.engine.kill(run)
    gate, run = revive(world)
    assert row(gate, run).failure == "keeper.gone" and broken(gate.house) == []


def test_bytes_whose_storing_was_cut_short_end_in_quarantine(world, monkeypatch):
    """The whole artifact was moved, and the gate died before it wrote that down; then its container died, too."""
    keep = Intake._keep

    def cut(self, connection, fresh, whole, now):
        if whole:
            world.power.off.set()
            raise PowerCut
        keep(self, connection, fresh, whole, now)

    with monkeypatch.context() as patch:
        patch.setattr(Intake, "_keep", cut)
        run = dies(world, "never")
    world.engine.kill(run)
    (kept,) = world.places.artifact("").iterdir()
    gate, run = revive(world)
    assert row(gate, run).failure == "keeper.gone"
    assert world.places.quarantined(kept.name).exists() and not kept.exists()
    assert gate.house.store.read(lambda c: c.execute(sa.select(models)).all()) == []
    assert broken(gate.house) == []


def test_a_gate_that_leaves_in_order_leaves_its_runs_to_the_next(world):
    first, run = _in_training(world)
    first.supervision.close()
    assert world.engine.containers[run].alive and broken(first.house) == []
    world.pass_time(
        seconds=1801
    )  # its time ends while nobody listens: the next gate asks it to come to an end
    gate, run = revive(world)
    assert row(gate, run).outcome == "finished" and broken(gate.house) == []


def test_a_supervisor_that_lost_its_run_acknowledges_nothing_more(world):
    """Whoever lost the lease stops; what the keeper says meanwhile reaches the next one, once."""
    lost = threading.Event()

    def says_more_later(keeper: Keeper) -> None:
        begin(keeper)
        while not lost.wait(SLICE_S):
            keeper._container.check()
        keeper.metric(1)
        keeper.finish()

    first, run = _in_training(world, says_more_later)
    first.house.store.transact(
        lambda c: leases.take(c, run, f"{first.house.owner}x", time.time(), alone=True)
    )
    lost.set()
    assert first.supervision.join(run, 60)
    assert row(first, run).stored == 1 and world.engine.containers[run].alive
    gate, run = revive(world)
    assert (row(gate, run).outcome, row(gate, run).points) == ("finished", 1)
    assert broken(gate.house) == []


def _in_training(world: World, script: Script = scripts.ends_when_asked) -> tuple[Gate, str]:
    world.script = script
    gate = world.gate()
    run = admit(gate)
    gate.supervision.begin(run)
    reaches(gate, run, RunState.TRAINING)
    return gate, run
