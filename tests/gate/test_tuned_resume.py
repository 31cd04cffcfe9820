"""A recipe that only fine-tunes goes on from its checkpoint beside its base: what it does not train stands there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.errors import Refused
from sandbox.gate.ledger.invariants import broken
from sandbox.gate.runs import checkpoints, chronicle, resuming, stopping
from sandbox.runs import RunState
from tests.fakes.keeper import Keeper, begin
from tests.gate.founding import found
from tests.gate.test_bases import TUNE
from tests.gate.test_pausing import CHECKPOINT, saves_when_asked
from tests.gate.world import (
    ENGINEER,
    HUM,
    REVIEWERS,
    World,
    admit,
    ended,
    reaches,
    request,
    run_of,
    sent,
    short_folder,
)

LIFT = {
    "recipe.yaml": TUNE["recipe.yaml"]
    .replace(b"name: tune", b"name: lift")
    .replace(b"purposes: [train, optimise]", b"purposes: [optimise]")
    .replace(
        b"dp: supported",
        b"  - {path: checkpoint.safetensors, media_type: application/vnd.safetensors, max_bytes: 4096}\ndp: none",
    ),
    "recipe.py": HUM["recipe.py"],
}


@pytest.fixture(scope="module")
def founded() -> Iterator[World]:
    """An installation whose agreement allows fine-tuning too."""
    with short_folder() as state:
        yield found(state, purposes="train, optimise, test")


@pytest.fixture
def gate(world: World) -> Any:
    gate = world.gate()
    digest = gate.house.recipes.submit(sent(LIFT), ENGINEER)["digest"]
    for reviewer in REVIEWERS:
        gate.house.recipes.approve(digest, "", reviewer)
    return gate


def test_a_fine_tuning_goes_on_with_its_checkpoint_and_its_base(world: World, gate: Any) -> None:
    assert run_of(gate).model == "hum v1"
    world.script = saves_when_asked
    first = admit(gate, request(LIFT, purpose="optimise", inputs={"base": "hum@1"}))
    gate.supervision.begin(first)
    reaches(gate, first, RunState.TRAINING)
    stopping.ask(gate, first, ENGINEER)
    ended(gate, first)
    heard: list[set[str]] = []

    def goes_on(keeper: Keeper) -> None:
        begin(keeper)
        heard.append(set(keeper.inputs))
        keeper.artifact("model-4.safetensors", 4, b"a model")
        keeper.finish()

    world.script = goes_on
    step = gate.house.store.read(lambda c: checkpoints.left(c, first))[-1].step
    with pytest.raises(Refused) as said:
        admit(gate, request(LIFT, purpose="train", inputs={"base": "hum@1", "resume": f"{first}@{step}"}))
    told = {reason.about for reason in said.value.reasons if reason.code == "input.fine_tuning"}
    assert told == {"hum@1", f"{first}@{step}"}
    second = resuming.resume(gate, first, ENGINEER).run
    gate.supervision.begin(second)
    made = ended(gate, second)
    assert (made.outcome, made.model) == ("finished", "lift v1"), made.failure
    assert heard == [{"base", "resume"}]
    plan = gate.house.store.read(lambda c: chronicle.granted(chronicle.find(c, second)))
    assert {(i.path, i.origin) for i in plan.inputs} == {
        ("resume", CHECKPOINT),
        ("base", "model-4.safetensors"),
    }
    assert broken(gate.house) == []
