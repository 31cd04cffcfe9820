"""A whole run, from admission to its settlement; and every way in which one ends otherwise."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from sandbox.errors import EngineError, Unreachable
from sandbox.gate.database.tables import artifacts, budget, incidents, models, settlements
from sandbox.gate.ledger import evidence
from sandbox.gate.ledger.invariants import broken
from sandbox.gate.routes import api
from sandbox.gate.runs import chronicle, conversation, launches, proving, supervision, watch
from sandbox.runs import Kind, RunState
from sandbox.sealing.artifacts import read_header
from sandbox.statements import open_statement
from sandbox.vault.minting import USES_BESIDES_KEYS
from tests.fakes.keeper import Keeper, begin, trains
from tests.gate import scripts
from tests.gate.world import (
    ENGINEER,
    OPERATOR,
    admit,
    ended,
    listening,
    reaches,
    request,
    row,
    run_of,
    states,
    until,
)

ALL = ["admitted", "prepared", "minted", "started", "ordered", "unlocked", "training", "ended", "settled"]


def rows(gate, table):
    return gate.house.store.read(lambda c: c.execute(sa.select(table)).all())


def kinds(gate):
    return {(r.kind, r.subject) for r in rows(gate, budget)} - {
        ("reserved", r.subject) for r in rows(gate, budget)
    }


def test_a_run_goes_through_every_state_and_leaves_its_proofs(world, gate):
    found = run_of(gate)
    run, places = found.id, gate.house.places
    assert states(gate, run) == ALL
    assert (found.outcome, found.failure, found.exit, found.model) == ("finished", None, "zero", "hum v1")
    assert {kind for kind, _ in kinds(gate)} == {"charged"}
    for kept in rows(gate, artifacts):
        header = read_header(places.artifact(kept.sha256).read_bytes())
        assert (kept.state, header.run, header.path) == ("signed", run, kept.path)
    assert gate.house.store.read(lambda c: chronicle.accessors(c, run, alive_only=True)) == []
    assert (
        not places.door(run).exists()
        and not places.staging(run).exists()
        and not places.incoming(run).exists()
    )
    assert world.engine.list() == [] and broken(gate.house) == []


def test_its_statement_says_everything(world, gate):
    found = run_of(gate)
    signed = open_statement(evidence.read(gate.house, "run", found.id), "run", world.keys("gate"))
    said = signed.predicate
    assert signed.digest == found.statement
    assert (said["outcome"], said["model"], said["person"], said["began"]) == (
        "finished",
        "hum v1",
        ENGINEER,
        True,
    )
    assert said["metric_points"] == {"used": 2, "granted": 6}
    assert len(said["artifacts"]) == 2 and len(said["credentials"]) == 4
    assert all(one["dead_at"] and one["audit_hash"] for one in said["credentials"])


def test_mlflow_is_told(world, gate):
    found = run_of(gate)
    view = world.tracking
    assert list(view.runs) == [found.id] and view.models == {"hum@1": found.id}
    assert {(p.name, p.step) for p in view.points[found.tracking]} == {("loss", 2), ("loss", 4)}
    assert view.facts[found.tracking] == {"gov.outcome": "finished", "gov.statement": found.statement}


def test_the_next_run_makes_the_next_version(gate):
    run_of(gate)
    assert run_of(gate).model == "hum v2"
    assert broken(gate.house) == []


def test_a_model_can_be_listened_to(world, gate):
    heard = {}

    def listens(keeper: Keeper) -> None:
        begin(keeper)
        heard.update(keeper.inputs)
        keeper.finish()

    first = run_of(gate)
    world.script = listens
    found = run_of(gate, listening())
    assert heard == {"model": f'["{first.id}", 4]'.encode()}
    assert (found.outcome, found.model, found.dataset) == ("finished", None, None)
    assert len(rows(gate, models)) == 1 and broken(gate.house) == []


def test_a_dry_run_has_no_credential_and_makes_nothing(world, gate):
    world.settings = replace(world.settings, public_digest="5" * 64)
    world.script = scripts.talks
    dry = request(kind=Kind.DRY, agreement="", dataset=None)
    found = run_of(gate, dry)
    assert (found.outcome, found.statement is not None, found.model) == ("finished", True, None)
    assert gate.house.store.read(lambda c: chronicle.accessors(c, found.id)) == []
    assert rows(gate, budget) == [] and broken(gate.house) == []


FAULTS = {
    "the recipe fails": (scripts.fails, "recipe.failed", "charged", False),
    "it says too much": (scripts.says_too_much, "metric.bounds", "charged", True),
    "it leaves at once": (scripts.leaves, "keeper.gone", "released", False),
    "it leaves in training": (scripts.leaves_in_training, "keeper.gone", "charged", False),
    "its credential was opened before": (scripts.is_robbed, "credential.used", "released", True),
    "it keeps its credential": (scripts.keeps_its_credential, "credential.alive", "released", True),
}


@pytest.mark.parametrize(("script", "code", "charge", "alarm"), FAULTS.values(), ids=FAULTS)
def test_a_run_that_fails_makes_no_model(world, gate, monkeypatch, script, code, charge, alarm):
    monkeypatch.setattr(proving, "PROVE_S", 0.2)
    world.script = script
    found = run_of(gate)
    assert (found.outcome, found.failure, found.model) == ("failed", code, None)
    assert {kind for kind, _ in kinds(gate)} == {charge}
    assert [i.kind for i in rows(gate, incidents)] == ([code] if alarm else [])
    assert {a.state for a in rows(gate, artifacts)} <= {"quarantined"} and rows(gate, models) == []
    assert broken(gate.house) == []


def test_a_container_that_is_not_as_asked_never_gets_its_order(world, gate):
    world.engine.seen = {"seccomp": "off"}
    found = run_of(gate)
    assert (found.failure, states(gate, found.id)) == (
        "isolation.mismatch",
        ["admitted", "prepared", "minted", "ended", "settled"],
    )
    assert [i.kind for i in rows(gate, incidents)] == ["isolation.mismatch"]
    assert world.engine.containers[found.id].order.empty() and broken(gate.house) == []


def test_an_engine_that_does_not_start_fails_the_run(world, gate, monkeypatch):
    def start(_):
        raise EngineError("no disk")

    monkeypatch.setattr(world.engine, "start", start)
    found = run_of(gate)
    assert (found.failure, found.exit) == ("engine.failed", "gone")
    assert broken(gate.house) == []


def test_a_killed_run_is_settled_as_killed(world, gate, live):
    assert api.kill(gate, live, OPERATOR, "asked") == {"killed": True}
    found = ended(gate, live)
    assert (found.outcome, found.killed_by, found.exit, found.model) == ("killed", OPERATOR, "killed", None)
    assert {kind for kind, _ in kinds(gate)} == {"charged"}
    assert broken(gate.house) == []


def test_a_run_that_was_killed_before_it_began_is_released(world, gate):
    run = admit(gate)
    api.kill(gate, run, OPERATOR, "asked")
    gate.supervision.begin(run)
    assert ended(gate, run).outcome == "killed"
    assert {kind for kind, _ in kinds(gate)} == {"released"} and world.engine.started == []
    assert broken(gate.house) == []


def test_a_run_whose_time_is_over_is_asked_to_end(world, gate):
    world.script = scripts.ends_when_asked
    run = admit(gate)
    gate.supervision.begin(run)
    reaches(gate, run, RunState.TRAINING)
    world.pass_time(seconds=1801)
    assert ended(gate, run).outcome == "finished"


def test_a_run_that_does_not_end_when_asked_is_ended(world, gate, live, monkeypatch):
    monkeypatch.setattr(watch, "STOP_GRACE_S", 0.1)
    world.pass_time(seconds=1801)
    assert (ended(gate, live).outcome, row(gate, live).failure) == ("failed", "run.time_limit")
    assert broken(gate.house) == []


def test_somebody_else_at_the_door_is_not_heard_and_is_an_incident(world, gate):
    knock = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"

    def is_overtaken(keeper: Keeper) -> None:
        """The trainer knocks before its keeper does."""
        door = Path(keeper._container.spec.doors, "events.sock")
        until(door.exists)
        subprocess.run([sys.executable, "-SEc", knock, str(door)], timeout=60, check=True)
        trains(keeper)

    world.script = is_overtaken
    found = run_of(gate)
    assert [(i.kind, i.run) for i in rows(gate, incidents)] == [("door.foreign_peer", found.id)]
    assert found.outcome == "finished" and broken(gate.house) == []


def test_a_keeper_that_stays_away_is_given_up(world, gate, live, monkeypatch):
    world.settings = replace(world.settings, reconnect_s=-5)
    world.engine.containers[live].closing()
    assert ended(gate, live).failure == "keeper.lost"
    assert broken(gate.house) == []


def test_a_keeper_that_does_not_leave_is_removed(world, gate, monkeypatch):
    def stays(keeper: Keeper) -> None:
        begin(keeper)
        keeper.finish()
        scripts.rests(keeper)

    monkeypatch.setattr(conversation, "EXIT_S", 0.2)
    world.script = stays
    assert run_of(gate).failure == "keeper.stays"
    assert broken(gate.house) == []


def test_without_mlflow_no_run_begins(world, gate):
    world.tracking.fault = Unreachable("MLflow does not answer", code="tracking.unreachable")
    found = run_of(gate)
    assert (found.failure, states(gate, found.id)) == (
        "tracking.unreachable",
        ["admitted", "ended", "settled"],
    )
    assert broken(gate.house) == []


def test_a_run_settles_without_mlflow(world, gate, live):
    world.tracking.fault = Unreachable("MLflow does not answer", code="tracking.unreachable")
    api.kill(gate, live, OPERATOR, "asked")
    assert ended(gate, live).outcome == "killed"
    proofs = {r.step: r.proof for r in rows(gate, settlements)}
    assert proofs["tracking"] == {"told": False} and broken(gate.house) == []


@pytest.mark.parametrize("fault", [Unreachable("sealed"), TimeoutError("hangs")], ids=["fails", "hangs"])
def test_an_engine_that_does_not_answer_is_waited_for(world, gate, live, monkeypatch, fault):
    monkeypatch.setattr(supervision, "BACKOFF_S", (0.05,))
    world.engine.fault = fault
    api.kill(gate, live, OPERATOR, "asked")
    until(lambda: "after launcher.wait" not in world.power.passed and row(gate, live).kill is not None)
    assert row(gate, live).state == "training"
    world.engine.fault = None
    assert ended(gate, live).outcome == "killed"
    assert broken(gate.house) == []


def test_a_credential_that_cannot_be_proved_dead_settles_nothing_and_alarms(world, gate, live, monkeypatch):
    monkeypatch.setattr(supervision, "BACKOFF_S", (0.05,))
    monkeypatch.setattr(proving, "PROVE_S", 0.05)
    is_dead, lives = gate.house.vault.is_dead, [True]
    monkeypatch.setattr(gate.house.vault, "is_dead", lambda a: not lives[0] and is_dead(a), raising=False)
    api.kill(gate, live, OPERATOR, "asked")
    until(lambda: bool(rows(gate, incidents)))
    assert row(gate, live).state == "ended" and rows(gate, incidents)[0].kind == "credential.alive"
    lives[0] = False
    assert ended(gate, live).outcome == "killed"


def test_a_result_that_cannot_be_evidenced_is_no_result(world, gate):
    evidence.sign(gate.house, None, "model", "hum-1", [("hum@1", "9" * 64)], {"forged": True})
    found = run_of(gate)
    assert (found.outcome, found.failure, found.model) == ("failed", "statement.differs", None)
    assert rows(gate, models) == [] and {a.state for a in rows(gate, artifacts)} == {"quarantined"}
    assert broken(gate.house) == []


def test_a_credential_is_good_for_every_key_of_a_voice_that_was_sealed_in_batches(world, gate, monkeypatch):
    """Two people, one of them sealed twice: three keys, and what a run needs besides."""
    asked = []
    mint = gate.house.vault.mint_run
    monkeypatch.setattr(launches, "count_data_keys", lambda source, manifest, subjects: 1 + len(subjects))
    monkeypatch.setattr(
        gate.house.vault,
        "mint_run",
        lambda *args, uses, **more: asked.append(uses) or mint(*args, uses=uses, **more),
    )
    found = run_of(gate)
    assert asked == [1 + len(found.plan["subjects"]) + USES_BESIDES_KEYS]
