"""Ending a run in order, and going on from its sealed checkpoint."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import sqlalchemy as sa

from sandbox import lineage
from sandbox.custodian.consent import withdraw_consent
from sandbox.errors import NotPermitted, Refused, SandboxError
from sandbox.gate.console.sessions import Sessions
from sandbox.gate.database.tables import artifacts, incidents
from sandbox.gate.gate import Gate
from sandbox.gate.ledger.invariants import broken
from sandbox.gate.routes import api
from sandbox.gate.routes.api import routes
from sandbox.gate.runs import chronicle, stopping
from sandbox.gate.subjects import heritage
from sandbox.runs import SAFETENSORS, RunState
from sandbox.service import Call, Caller, Reply
from tests.fakes.keeper import Keeper, Script, begin
from tests.fakes.studio import STEWARD
from tests.gate import scripts
from tests.gate.world import (
    ANNA,
    BEN,
    DATASET,
    ENGINEER,
    HUM,
    OPERATOR,
    OTHER,
    REVIEWERS,
    World,
    admit,
    ended,
    reaches,
    request,
    row,
    sent,
)

CARD = (
    HUM["recipe.yaml"]
    .replace(b"parameters:", b"inputs: [resume]\nparameters:")
    .replace(b"name: hum", b"name: sing")
)
SING = {
    "recipe.yaml": CARD.replace(
        b"dp: supported",
        b"  - {path: checkpoint.safetensors, media_type: application/vnd.safetensors, max_bytes: 4096}\ndp: none",
    ),
    "recipe.py": HUM["recipe.py"],
}
CHECKPOINT = "checkpoint.safetensors"


def saves_when_asked(keeper: Keeper) -> None:
    """Trains one step at a time; told to stop, it seals a checkpoint of step 3 and ends."""
    begin(keeper)
    keeper.metric(1)
    while keeper.door.stop_reason is None:
        keeper._container.check()
    keeper.artifact(CHECKPOINT, 3, json.dumps([keeper.grant.run, keeper.door.stop_reason]).encode())
    keeper.finish()


def fails_with(code: str) -> Script:
    def script(keeper: Keeper) -> None:
        begin(keeper)
        keeper.artifact("model-2.safetensors", 2, b"half of it")
        keeper.artifact(CHECKPOINT, 3, b"all of it")
        scripts.confesses(keeper, code)

    return script


@pytest.fixture
def ask(gate: Gate) -> Any:
    found = {(route.method, route.path): route.handler for route in routes(gate, Sessions())}

    def ask(name: str, verb: str, run: str, key: str = "") -> Any:
        call = Call(Caller(name, 2e9), {"id": run}, {}, b"", key, "", lambda: iter(()))
        answer = found["POST", f"/v1/runs/{{id}}/{verb}"](call)
        return answer.body if isinstance(answer, Reply) else answer

    return ask


@pytest.fixture
def sings(gate: Gate) -> Gate:
    """A gate where the recipe that can go on is approved."""
    digest = gate.house.recipes.submit(sent(SING), ENGINEER)["digest"]
    for reviewer in REVIEWERS:
        gate.house.recipes.approve(digest, "", reviewer)
    return gate


def paused(world: World, gate: Gate, ask: Any) -> str:
    """A run that was stopped in order."""
    world.script = saves_when_asked
    run = admit(gate, request(SING))
    gate.supervision.begin(run)
    reaches(gate, run, RunState.TRAINING)
    assert ask(ENGINEER, "stop", run) == {"run": run, "stopping": True}
    ended(gate, run)
    return run


def states(gate: Gate, run: str) -> dict[str, str]:
    asked = sa.select(artifacts.c.path, artifacts.c.state).where(artifacts.c.run == run)
    return gate.house.store.read(lambda c: {r.path: r.state for r in c.execute(asked)})


def test_a_run_that_is_stopped_finishes_with_its_checkpoint_signed(world, sings, ask):
    run = paused(world, sings, ask)
    found = row(sings, run)
    assert (found.outcome, found.failure, found.kill, found.exit) == ("finished", None, None, "zero")
    assert found.model is None  # a checkpoint is no model
    assert states(sings, run) == {CHECKPOINT: "signed"}
    assert broken(sings.house) == []
    told = sings.house.store.read(lambda c: [e.data for e in chronicle.since(c, run, 0) if e.kind == "stop"])
    assert told == [{"by": ENGINEER}]


def test_a_wish_outlives_the_gate(world, sings, ask):
    world.script = scripts.waits
    run = admit(sings, request(SING))
    sings.supervision.begin(run)
    reaches(sings, run, RunState.TRAINING)
    ask(ENGINEER, "stop", run)
    assert ask(ENGINEER, "stop", run) == {"run": run, "stopping": False}  # a second time changes nothing
    assert sings.house.store.read(stopping.Wish(run).stands)
    assert not sings.house.store.read(stopping.Wish("r-222222").stands)


def test_a_run_that_does_not_listen_has_failed_after_the_grace(world, sings, ask, monkeypatch):
    monkeypatch.setattr(stopping, "GRACE_S", 0.2)
    world.script = scripts.waits
    run = admit(sings, request(SING))
    sings.supervision.begin(run)
    reaches(sings, run, RunState.TRAINING)
    ask(ENGINEER, "stop", run)
    found = ended(sings, run)
    assert (found.outcome, found.failure, found.kill) == ("failed", "run.stop_unheard", None)


@pytest.mark.parametrize(
    ("name", "may"), [(ENGINEER, True), (OPERATOR, True), (STEWARD, True), (OTHER, False)]
)
def test_a_run_is_stopped_by_whose_it_is_or_by_who_may_stop_any(world, gate, ask, live, name, may):
    if may:
        assert ask(name, "stop", live)["stopping"]
        return
    with pytest.raises(NotPermitted):
        ask(name, "stop", live)
    assert not gate.house.store.read(stopping.Wish(live).stands)


def test_what_has_ended_is_not_stopped(world, sings, ask):
    run = paused(world, sings, ask)
    with pytest.raises(Refused) as refused:
        ask(ENGINEER, "stop", run)
    assert refused.value.code == "run.ended"


# Going on


def test_a_run_goes_on_from_the_checkpoint_that_the_stopped_one_left(world, sings, ask):
    first = paused(world, sings, ask)
    heard: list[bytes] = []

    def goes_on(keeper: Keeper) -> None:
        begin(keeper)
        heard.append(keeper.inputs["resume"])
        keeper.artifact("model-4.safetensors", 4, b"a model")
        keeper.finish()

    world.script = goes_on
    second = ask(ENGINEER, "resume", first, "k-1")["run"]
    assert ask(ENGINEER, "resume", first, "k-1")["run"] == second  # the same key is the same run
    found = ended(sings, second)
    assert (found.outcome, found.model) == ("finished", "sing v1")
    assert [json.loads(h) for h in heard] == [[first, "asked"]]
    assert found.request["inputs"] == {"resume": f"{first}@3"}
    plan = sings.house.store.read(lambda c: chronicle.granted(chronicle.find(c, second)))
    assert [(i.path, i.run, i.origin) for i in plan.inputs] == [("resume", first, CHECKPOINT)]
    graph = sings.house.store.read(heritage.graph)
    assert graph.speakers(lineage.run(second)) == ((DATASET, ANNA), (DATASET, BEN))
    assert lineage.run(first) in graph.ancestors(lineage.model("sing", 1))
    assert broken(sings.house) == []


def test_a_run_begins_without_a_checkpoint_where_the_card_takes_one(sings):
    assert admit(sings, request(SING)).startswith("r-")


@pytest.mark.parametrize("what", ["somebody else's", "goes on", "left none"])
def test_what_cannot_be_gone_on_with_is_refused(world, sings, ask, what):
    world.script = scripts.waits if what == "goes on" else saves_when_asked
    run = admit(sings, request(SING))
    sings.supervision.begin(run)
    if what == "left none":
        reaches(sings, run, RunState.TRAINING)
        api.kill(sings, run, OPERATOR, "asked")
        ended(sings, run)
    wanted = {
        "somebody else's": "person.not_permitted",
        "goes on": "run.not_ended",
        "left none": "run.no_checkpoint",
    }
    with pytest.raises(Refused) as refused:
        ask(OTHER if what == "somebody else's" else ENGINEER, "resume", run)
    assert refused.value.code == wanted[what]


def test_nobody_goes_on_with_a_voice_that_was_withdrawn(world, sings, ask):
    run = paused(world, sings, ask)
    withdraw_consent(world.desk, STEWARD, DATASET, BEN)
    with pytest.raises(Refused) as refused:
        ask(ENGINEER, "resume", run)
    assert BEN in {reason.about for reason in refused.value.reasons}


# Failures that leave a checkpoint


@pytest.mark.parametrize("code", ["recipe.loss_not_finite", "recipe.out_of_memory", "trainer.gone"])
def test_a_training_that_failed_by_its_numbers_keeps_its_checkpoint_and_nothing_else(world, sings, ask, code):
    world.script = fails_with(code)
    run = admit(sings, request(SING))
    sings.supervision.begin(run)
    found = ended(sings, run)
    assert (found.outcome, found.failure, found.model) == ("failed", code, None)
    assert states(sings, run) == {CHECKPOINT: "signed", "model-2.safetensors": "quarantined"}
    assert broken(sings.house) == []


def dies_after_its_checkpoint(keeper: Keeper) -> None:
    """Killed from outside: what it had sent whole is there, what was on its way is not."""
    begin(keeper)
    keeper.artifact(CHECKPOINT, 3, b"all of it")
    keeper._patiently(keeper.door.flush)
    sealed = keeper.seal("model-2.safetensors", 2, b"half of it")
    keeper.say("artifact", path="model-2.safetensors", step=2, media_type=SAFETENSORS, size=len(sealed),
               sha256=hashlib.sha256(sealed).hexdigest())  # fmt: skip
    keeper._patiently(keeper.door.flush)
    raise SandboxError("killed by SIGKILL")


def test_a_container_that_is_killed_leaves_the_checkpoints_that_had_arrived_and_is_gone_on_from(
    world, sings, ask
):
    world.script = dies_after_its_checkpoint
    run = admit(sings, request(SING))
    sings.supervision.begin(run)
    found = ended(sings, run)
    assert (found.outcome, found.failure, found.model) == ("failed", "keeper.gone", None)
    assert states(sings, run) == {CHECKPOINT: "signed", "model-2.safetensors": "quarantined"}
    assert broken(sings.house) == []
    world.script = saves_when_asked
    again = ask(ENGINEER, "resume", run)["run"]
    assert row(sings, again).request["inputs"] == {"resume": f"{run}@3"}


def test_a_run_with_an_incident_leaves_nothing_whatever_it_says_that_it_failed_for(world, sings, ask):
    """A trainer chooses the word that it fails with; what the gate saw counts more."""

    def breaks_the_rules(keeper: Keeper) -> None:
        begin(keeper)
        keeper.artifact(CHECKPOINT, 3, b"all of it")
        keeper.say("failed", code="recipe.out_of_memory")
        keeper._patiently(keeper.door.flush)
        keeper.metric(4)  # nothing but `done` may follow
        scripts.rests(keeper)

    world.script = breaks_the_rules
    run = admit(sings, request(SING))
    sings.supervision.begin(run)
    found = ended(sings, run)
    assert (found.outcome, found.failure) == ("failed", "recipe.out_of_memory")
    assert states(sings, run) == {CHECKPOINT: "quarantined"}
    asked = sa.select(incidents.c.kind).where(incidents.c.run == run)
    assert sings.house.store.read(lambda c: list(c.execute(asked).scalars())) == ["door.order"]
    assert broken(sings.house) == []
    with pytest.raises(Refused) as refused:
        ask(ENGINEER, "resume", run)
    assert refused.value.code == "run.no_checkpoint"


@pytest.mark.parametrize("code", ["recipe.failed", "gate.lost"])
def test_every_other_failure_leaves_nothing(world, sings, ask, code):
    world.script = fails_with(code)
    run = admit(sings, request(SING))
    sings.supervision.begin(run)
    ended(sings, run)
    assert set(states(sings, run).values()) == {"quarantined"}
    with pytest.raises(Refused):
        ask(ENGINEER, "resume", run)
