"""An incident: the state first, then what runs, then credentials; one failing effect stops none of the others."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from sandbox.errors import EngineError, FrameError, NotFound, RunFailed, Unreachable, Usage
from sandbox.gate.database.tables import incidents
from sandbox.gate.incidents import incident, kill
from sandbox.gate.ledger.invariants import broken
from sandbox.gate.runs.launches import Launch
from sandbox.gate.runs.leases import Lease
from tests.gate.world import AGREEMENT, ANNA, OPERATOR, admit, ended, request, row

EVERYTHING_OF_IT = f"agreement:{AGREEMENT}"


def opened(gate):
    return gate.house.store.read(lambda c: c.execute(sa.select(incidents)).all())


def test_the_state_stands_before_a_container_dies_and_before_a_credential_is_revoked(world, gate):
    run = admit(gate)  # with credentials, and nobody who supervises it
    _give_credentials(gate, run)
    seen = []
    strike = world.engine.strike
    world.engine.strike = lambda rs: (
        seen.append(("strike", rs, len(opened(gate)), row(gate, rs[0]).kill)),
        strike(rs),
    )[1]
    before = len(world.power.passed)
    found = kill.stop(gate.house, "all", OPERATOR)
    assert seen == [("strike", [run], 1, f"incident {found['id']}")]
    order = [p for p in world.power.passed[before:] if p.startswith("before")]
    assert order[0] == "before launcher.strike" and order.count("before vault.revoke") == 2
    assert order[-2:] == ["before vault.revoke_self", "before vault.renew"]
    assert found["runs"] == [run] and found["outstanding"] == []
    steps = [step["step"] for step in found["timeline"]]
    assert steps == ["state", "state", "doors", "container", "credential", "credential", "models", "login"]


def _give_credentials(gate, run):
    launch = Launch(gate.house, Lease(run, "here:a", 1))
    for path in ("model-2.safetensors", "model-4.safetensors"):
        wrap = gate.house.vault.new_artifact_key("dsa-2026-0001", run, path, 60)
        launch._know("artifact", wrap, 60)
    gate.house.store.transact(launch.remember)
    return [row["accessor"] for row in launch.minted.rows]


@pytest.mark.parametrize("fault", [EngineError("hangs"), TimeoutError("no answer")], ids=["fails", "hangs"])
def test_a_failing_effect_does_not_stop_the_rest(world, gate, fault):
    run = admit(gate)
    accessors = _give_credentials(gate, run)
    world.engine.fault = fault
    found = kill.stop(gate.house, EVERYTHING_OF_IT, OPERATOR)
    world.engine.fault = None
    failed = [step["what"] for step in found["timeline"] if step.get("failed")]
    assert len(failed) == 1 and failed[0].startswith("failed, goes on: containers")
    assert [owed["what"] for owed in found["outstanding"]] == [f"{run}: its container"]
    assert all(gate.house.vault.is_dead(accessor) for accessor in accessors)
    assert row(gate, run).kill == f"incident {found['id']}"


def test_a_credential_that_cannot_be_revoked_stops_no_other(world, gate, monkeypatch):
    run = admit(gate)
    accessors = _give_credentials(gate, run)
    revoke, asked = gate.house.vault.revoke, []

    def first_fails(accessor: str) -> None:
        asked.append(accessor)
        if len(asked) == 1:
            raise Unreachable("the audit disk is full")
        revoke(accessor)

    monkeypatch.setattr(gate.house.vault, "revoke", first_fails, raising=False)
    found = kill.stop(gate.house, EVERYTHING_OF_IT, OPERATOR)
    assert sorted(asked) == sorted(accessors)
    assert gate.house.vault.is_dead(asked[1]) and not gate.house.vault.is_dead(asked[0])
    assert [(owed["tries"], owed["what"]) for owed in found["outstanding"]] == [(1, f"{run}: a credential")]


def test_what_runs_is_stopped_and_settled_as_killed(gate, live):
    found = kill.stop(gate.house, "dataset:digits", OPERATOR)
    assert found["runs"] == [live]
    assert ended(gate, live).outcome == "killed"
    assert broken(gate.house) == []


OTHERS = {
    "dataset": "dataset:voices",
    "agreement": "agreement:dsa-9",
    "run": "run:r-9999",
    "recipe": "recipe:" + "9" * 64,
    "person": "person:eng.wu",
    "subject": "subject:spk_nobody",
    "subject elsewhere": f"subject:voices/{ANNA}",
}


@pytest.mark.parametrize("scope", OTHERS.values(), ids=OTHERS)
def test_what_is_out_of_scope_goes_on(gate, scope):
    run = admit(gate)
    assert kill.stop(gate.house, scope, OPERATOR)["runs"] == []
    assert row(gate, run).kill is None


@pytest.mark.parametrize(
    "scope",
    [
        "run:{run}",
        "agreement:dsa-2026-0001",
        "recipe:{recipe}",
        "person:eng.li",
        f"subject:{ANNA}",
        f"subject:digits/{ANNA}",
    ],
)
def test_what_is_in_scope_is_to_die(gate, scope):
    run = admit(gate)
    named = scope.format(run=run, recipe=request().recipe_digest)
    assert kill.stop(gate.house, named, OPERATOR)["runs"] == [run]


@pytest.mark.parametrize(
    "scope", ["", "everything", "person:Eng Li", "subject:digits/", "run:", "dataset:UPPER", "recipe:abc"]
)
def test_no_scope_is_no_incident(gate, scope):
    with pytest.raises(Usage):
        kill.stop(gate.house, scope, OPERATOR)
    assert opened(gate) == []


def test_an_incident_is_closed_once(gate):
    name = kill.stop(gate.house, EVERYTHING_OF_IT, OPERATOR)["id"]
    incident.resume(gate.house, name, OPERATOR)
    with pytest.raises(NotFound):
        incident.resume(gate.house, name, OPERATOR)
    assert broken(gate.house) == []


def test_the_same_kind_opens_once_a_run(gate):
    run, now = admit(gate), gate.house.clock()
    names = {
        gate.house.store.transact(lambda c, k=kind: incident.open_for_run(c, run, k, {}, now))
        for kind in ("door.foreign_peer", "door.foreign_peer", "metric.bounds")
    }
    assert len(names) == len(opened(gate)) == 2


@pytest.mark.parametrize(
    ("fault", "alarms"),
    [
        (FrameError("x", code="metric.bounds"), True),
        (FrameError("x", code="artifact.foreign"), True),
        (FrameError("x"), True),
        (RunFailed("x", code="recipe.failed"), False),
        (RunFailed("x", code="keeper.gone"), False),
        (RunFailed("x", code="run.time_limit"), False),
    ],
    ids=lambda value: getattr(value, "code", None),
)
def test_everything_that_a_door_refuses_is_an_incident_and_a_bad_recipe_is_none(fault, alarms):
    assert incident.alarming(fault) is alarms
