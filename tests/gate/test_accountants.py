"""Two counts of one epsilon: the trainer's by PRV, the gate's by PLD. Where they differ nothing is called private."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from sandbox.gate.database.tables import artifacts, incidents, models
from sandbox.gate.ledger.invariants import broken
from sandbox.policy import epsilon
from sandbox.policy.epsilon import Mechanism
from sandbox.runs import Privacy
from tests.fakes.keeper import Keeper, Script, begin, trains
from tests.gate import scripts
from tests.gate.world import ENGINEER, HUM, REVIEWERS, World, request, run_of, sent

ASKED = Privacy("speaker", 4.0, 1e-5, 1.0, 1.0)
COUNTING = {
    **HUM,
    "recipe.yaml": HUM["recipe.yaml"]
    .replace(b"name: hum", b"name: counting-hum")
    .replace(b"metrics:\n", b"metrics:\n  epsilon: {min: 0, max: 1000, decimals: 4, every: 2}\n"),
}


RESTING = {
    **COUNTING,
    "recipe.yaml": COUNTING["recipe.yaml"]
    .replace(b"name: counting-hum", b"name: resting-hum")
    .replace(
        b"artifacts:\n",
        b"artifacts:\n"
        b"  - {path: checkpoint.safetensors, media_type: application/vnd.safetensors, max_bytes: 4096}\n",
    ),
}


@pytest.fixture(autouse=True)
def approved(gate) -> None:
    for recipe in (COUNTING, RESTING):
        digest = gate.house.recipes.submit(sent(recipe), ENGINEER)["digest"]
        for reviewer in REVIEWERS:
            gate.house.recipes.approve(digest, "", reviewer)


def tells(off: float) -> Script:
    """Trains, and tells its epsilon at steps two and four; the last one ``off`` times what it is."""

    def script(keeper: Keeper) -> None:
        begin(keeper)
        privacy = keeper.grant.privacy
        for step in (2, 4):
            keeper.artifact(f"model-{step}.safetensors", step, b"weights" + bytes([step]))
            counted = epsilon.spent([Mechanism(privacy.sigma, 1.0, step)], privacy.delta)
            keeper.metric(step, round(counted * (off if step == 4 else 1.0), 4), "epsilon")
        keeper.finish()

    return script


def run(world: World, gate, script: Script, recipe=COUNTING):
    world.script = script
    return run_of(gate, request(recipe, privacy=ASKED))


def rows(gate, table, found):
    return gate.house.store.read(lambda c: c.execute(sa.select(table).where(table.c.run == found.id)).all())


@pytest.mark.parametrize("off", [1.0, 1.009, 0.991])
def test_counts_that_agree_make_a_model(world: World, gate, off: float):
    found = run(world, gate, tells(off))
    assert found.outcome == "finished", found.failure
    assert len(rows(gate, models, found)) == 1 and rows(gate, incidents, found) == []


@pytest.mark.parametrize("off", [1.02, 0.5])
def test_counts_that_differ_make_no_model_and_open_an_incident(world: World, gate, off: float):
    found = run(world, gate, tells(off))
    assert (found.outcome, found.failure, found.model) == ("failed", "privacy.accountants", None)
    assert rows(gate, models, found) == []
    assert {row.state for row in rows(gate, artifacts, found)} == {"quarantined"}
    [opened] = rows(gate, incidents, found)
    assert opened.kind == "privacy.accountants" and "by PRV" in opened.detail["message"]
    assert found.epsilon == pytest.approx(4.0, rel=0.05)  # what was lost is lost, and charged in full


@pytest.mark.parametrize(
    ("off", "failure", "state"),
    [(1.0, "recipe.out_of_memory", "signed"), (0.5, "privacy.accountants", "quarantined")],
)
def test_a_trainer_that_dies_after_a_wrong_count_leaves_no_checkpoint(
    world: World, gate, off: float, failure: str, state: str
):
    """What may be gone on from is counted again like what finished: dying is no way around it."""

    def dies(keeper: Keeper) -> None:
        begin(keeper)
        privacy = keeper.grant.privacy
        counted = epsilon.spent([Mechanism(privacy.sigma, 1.0, 2)], privacy.delta)
        keeper.metric(2, round(counted * off, 4), "epsilon")
        keeper.artifact("checkpoint.safetensors", 2, b"weights")
        scripts.confesses(keeper, "recipe.out_of_memory")

    found = run(world, gate, dies, RESTING)
    assert (found.outcome, found.failure) == ("failed", failure)
    assert [row.state for row in rows(gate, artifacts, found)] == [state]
    assert [row.kind for row in rows(gate, incidents, found)] == (
        [] if off == 1.0 else ["privacy.accountants"]
    )
    assert broken(gate.house) == []


def test_a_trainer_that_tells_none_is_counted_by_the_gate_alone(world: World, gate):
    found = run(world, gate, trains)
    assert found.outcome == "finished" and rows(gate, incidents, found) == []
