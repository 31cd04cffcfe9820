"""Runs that start from models: a published file comes in, becomes a base, and people stay with what is made of them."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from sandbox import lineage
from sandbox.custodian.consent import withdraw_consent
from sandbox.errors import NotFound, NotPermitted, Refused, TooMany, Usage
from sandbox.gate import files
from sandbox.gate.console import model_cards
from sandbox.gate.console.sessions import Sessions
from sandbox.gate.database.tables import budget, runs
from sandbox.gate.deciding import bases
from sandbox.gate.ledger import balances, evidence
from sandbox.gate.ledger.invariants import broken
from sandbox.gate.routes import api
from sandbox.gate.routes.api import routes
from sandbox.gate.runs import chronicle, launches, resuming, stopping
from sandbox.gate.subjects import heritage, rights, withdrawal
from sandbox.runs import Privacy, RunState
from sandbox.service import Call, Caller
from sandbox.statements import open_statement
from sandbox.tracking import card, tags
from tests.fakes.keeper import Keeper, begin
from tests.fakes.studio import STEWARD
from tests.gate import scripts
from tests.gate.founding import found
from tests.gate.test_pausing import saves_when_asked
from tests.gate.world import (
    ANNA,
    AUDITOR,
    BEN,
    DATASET,
    ENGINEER,
    HUM,
    OPERATOR,
    REVIEWERS,
    World,
    admit,
    ended,
    reaches,
    request,
    row,
    run_of,
    sent,
    short_folder,
)

BRING = {
    "recipe.yaml": b"""\
name: bring
summary: Makes a base of a published file.
purposes: [optimise]
engine: none
dataset: none
inputs: [file, config]
parameters:
  model: {type: str, default: fastpitch}
  licence: {type: str, default: ""}
  source: {type: str, default: ""}
metrics:
  loss: {min: 0, max: 10, decimals: 2, every: 1}
artifacts:
  - {path: base.safetensors, media_type: application/vnd.safetensors, max_bytes: 4096}
""",
    "recipe.py": b"def main(run): ...\n",
}
TUNE = {
    "recipe.yaml": HUM["recipe.yaml"]
    .replace(b"name: hum", b"name: tune")
    .replace(b"purposes: [train]", b"purposes: [train, optimise]")
    .replace(b"parameters:", b"inputs: [resume, base]\nparameters:"),
    "recipe.py": b"def main(run): ...\n",
}
PAUSE = {
    "recipe.yaml": TUNE["recipe.yaml"]
    .replace(b"name: tune", b"name: pause")
    .replace(
        b"dp: supported",
        b"  - {path: checkpoint.safetensors, media_type: application/vnd.safetensors, max_bytes: 4096}\ndp: none",
    ),
    "recipe.py": b"def main(run): ...\n",
}
PUBLISHED = b"a published checkpoint"
DIGEST = hashlib.sha256(PUBLISHED).hexdigest()
PAPERS = {"model": "yourtts", "licence": "CC-BY-NC-ND-4.0", "source": "https://example.org/yourtts.pth"}
PRIVATE = Privacy("speaker", 2.0, 1e-5, 1.0, 1.0)


@pytest.fixture(scope="module")
def founded() -> Iterator[World]:
    """An installation whose agreement allows fine-tuning too."""
    with short_folder() as state:
        yield found(state, purposes="train, optimise, test")


@pytest.fixture
def gate(world: World) -> Any:
    gate = world.gate()
    for recipe in (BRING, TUNE, PAUSE):
        digest = gate.house.recipes.submit(sent(recipe), ENGINEER)["digest"]
        for reviewer in REVIEWERS:
            gate.house.recipes.approve(digest, "", reviewer)
    return gate


def bringing(**changes: Any) -> Any:
    asked = {
        "purpose": "optimise",
        "dataset": None,
        "inputs": {"file": f"sha256:{DIGEST}"},
        "parameters": PAPERS,
    }
    return request(BRING, **{**asked, **changes})


def tuning(base: str, **changes: Any) -> Any:
    return request(TUNE, **{"purpose": "optimise", "inputs": {"base": base}, **changes})


@pytest.fixture
def brought(gate: Any) -> Any:
    """The published file, brought in and made into ``bring@1``."""
    gate.house.bases.receive(DIGEST, [PUBLISHED], ENGINEER)
    made = run_of(gate, bringing())
    assert (made.outcome, made.model) == ("finished", "bring v1"), made.failure
    return made


def shelf(gate: Any) -> set[str]:
    return {path.name for path in (gate.house.places.private / "bases").iterdir()}


# The file


def test_a_file_is_kept_under_its_digest_and_told_in_the_log(gate):
    assert gate.house.bases.announce(DIGEST, len(PUBLISHED)) == {"sha256": DIGEST, "kept": False}
    for _ in range(2):
        gate.house.bases.receive(DIGEST, [PUBLISHED[:3], PUBLISHED[3:]], ENGINEER)
    assert shelf(gate) == {DIGEST} and gate.house.places.base(DIGEST).read_bytes() == PUBLISHED
    assert gate.house.bases.announce(DIGEST, len(PUBLISHED))["kept"] is True
    assert broken(gate.house) == []


@pytest.mark.parametrize("size", [0, -1, True, "12", None, 1.5])
def test_an_empty_file_is_refused_before_it_is_sent(gate, size):
    with pytest.raises(Usage) as said:
        gate.house.bases.announce(DIGEST, size)
    assert said.value.code == "base.empty"


def test_a_file_over_the_setting_is_refused_before_it_is_sent_and_while_it_is(world, gate):
    world.settings = replace(world.settings, base_max_bytes=10)
    for attempt in (
        lambda: gate.house.bases.announce(DIGEST, 11),
        lambda: gate.house.bases.receive(DIGEST, [PUBLISHED], ENGINEER),
    ):
        with pytest.raises(Usage) as said:
            attempt()
        assert said.value.code == "base.too_large" and "limits.base_max" in said.value.mend
    assert shelf(gate) == set()


@pytest.mark.parametrize("pieces", [[PUBLISHED[:-1]], [b"another"], []], ids=["cut", "another", "nothing"])
def test_what_is_not_the_announced_file_is_not_kept(gate, pieces):
    with pytest.raises(Usage) as said:
        gate.house.bases.receive(DIGEST, pieces, ENGINEER)
    assert said.value.code == "base.digest" and shelf(gate) == set()


def test_what_comes_makes_room_but_not_of_what_a_run_uses(world, gate):
    world.settings = replace(world.settings, base_max_bytes=len(PUBLISHED))
    files = [bytes([n]) * len(PUBLISHED) for n in range(3)]
    names = [hashlib.sha256(file).hexdigest() for file in files]
    for name, file in zip(names, files, strict=True):
        gate.house.bases.receive(name, [file], ENGINEER)
    assert shelf(gate) == set(names[1:])  # room for two

    world.script = scripts.waits
    for name in names[1:]:
        run = admit(gate, bringing(inputs={"file": f"sha256:{name}"}))
        gate.supervision.begin(run)
        reaches(gate, run, RunState.TRAINING)
    with pytest.raises(TooMany) as said:
        gate.house.bases.receive(DIGEST, [PUBLISHED], ENGINEER)
    assert said.value.code == "base.no_room" and shelf(gate) == set(names[1:])


def test_small_files_are_not_kept_without_end(gate, monkeypatch):
    monkeypatch.setattr(bases, "MANY", 3)
    names = []
    for n in range(5):
        names.append(hashlib.sha256(bytes([n])).hexdigest())
        gate.house.bases.receive(names[-1], [bytes([n])], ENGINEER)
    assert shelf(gate) == set(names[-3:])


def test_small_files_that_runs_use_leave_no_room_either(world, gate, monkeypatch):
    monkeypatch.setattr(bases, "MANY", 1)
    gate.house.bases.receive(DIGEST, [PUBLISHED], ENGINEER)
    world.script = scripts.waits
    run = admit(gate, bringing())
    gate.supervision.begin(run)
    reaches(gate, run, RunState.TRAINING)
    with pytest.raises(TooMany) as said:
        gate.house.bases.receive(hashlib.sha256(b"1").hexdigest(), [b"1"], ENGINEER)
    assert said.value.code == "base.no_room" and shelf(gate) == {DIGEST}


def test_what_lies_here_for_too_long_leaves_but_not_what_a_run_uses(world, gate):
    gate.house.bases.receive(DIGEST, [PUBLISHED], ENGINEER)
    torn = gate.house.places.base(".partial-0")
    torn.write_bytes(b"half")
    for path, age in ((gate.house.places.base(DIGEST), bases.KEPT_S - 60), (torn, bases.TORN_S - 60)):
        os.utime(path, (time.time() - age,) * 2)
    gate.house.bases.tidy()
    assert shelf(gate) == {DIGEST, ".partial-0"}
    for path, age in ((gate.house.places.base(DIGEST), bases.KEPT_S + 60), (torn, bases.TORN_S + 60)):
        os.utime(path, (time.time() - age,) * 2)
    world.script = scripts.waits
    run = admit(gate, bringing())
    gate.supervision.begin(run)
    reaches(gate, run, RunState.TRAINING)
    gate.house.bases.tidy()
    assert shelf(gate) == {DIGEST}
    api.kill(gate, run, OPERATOR, "asked")
    ended(gate, run)
    gate.house.bases.tidy()
    assert shelf(gate) == set()


def test_few_people_send_at_once_and_each_one_file(gate):
    """What has not come whole lies on the disk too: without this, as much of it as there are connections."""

    def meanwhile(*others: str) -> Iterator[bytes]:
        yield PUBLISHED
        for person in others:
            with pytest.raises(TooMany) as said:
                gate.house.bases.receive(DIGEST, [PUBLISHED], person)
            assert said.value.code == "base.no_room"

    def second() -> Iterator[bytes]:
        yield from meanwhile(ENGINEER)
        gate.house.bases.receive(DIGEST, meanwhile(ENGINEER, REVIEWERS[0], AUDITOR), REVIEWERS[0])

    gate.house.bases.receive(DIGEST, second(), ENGINEER)
    gate.house.bases.receive(DIGEST, [PUBLISHED], AUDITOR)  # and nobody is kept out once they have come
    assert shelf(gate) == {DIGEST}


@pytest.mark.parametrize("path", ["/v1/bases", "/v1/bases/{sha256}"])
def test_only_engineers_bring_files(gate, path):
    handlers = {(route.method, route.path): route.handler for route in routes(gate, Sessions())}
    call = Call(Caller(AUDITOR, 2e9), {"sha256": DIGEST}, {}, b"{}", "", "", lambda: iter([PUBLISHED]))
    with pytest.raises(NotPermitted):
        handlers["POST", path](call)
    assert shelf(gate) == set()


def test_a_file_that_is_not_here_is_told_before_anything_begins(gate):
    with pytest.raises(NotFound) as said:
        admit(gate, bringing())
    assert said.value.code == "base.unknown" and "import-base" in said.value.mend


# The base


def test_a_base_is_sealed_signed_and_registered_and_of_nobody(world, gate, brought):
    said = open_statement(evidence.read(gate.house, "run", brought.id), "run", world.keys("gate")).predicate
    assert said["public_base"] == {**PAPERS, "sha256": DIGEST}
    assert (said["classification"], said["subjects"], said["dataset"]) == (
        "party_a_confidential_derivative", [], None,
    )  # fmt: skip
    assert {one["kind"] for one in said["credentials"]} == {
        "artifact"
    }  # no key is made for what is not sealed
    graph = gate.house.store.read(heritage.graph)
    made = lineage.model("bring", 1)
    assert graph.speakers(made) == () and graph.bases(made) == (DIGEST,)
    assert graph.label(made) == "party_a_confidential_derivative"
    assert graph.label(lineage.base(DIGEST)) == "public"
    assert not gate.house.store.read(lambda c: list(c.execute(sa.select(budget))))
    assert broken(gate.house) == []


def test_its_card_and_its_tags_say_where_it_came_from(world, gate, brought):
    shown = gate.house.store.read(lambda c: model_cards.of(c, "bring@1"))
    assert ("public base", f"yourtts, sha256:{DIGEST}") in shown["data"]
    assert (
        "licence, source",
        f"{PAPERS['licence']}, {PAPERS['source']}, by the word of {ENGINEER}",
    ) in shown["data"]
    assert shown["privacy"] == card.NO_PEOPLE and shown["people"] == 0
    plan = chronicle.granted(brought)
    facts = tags.governance(plan, "0" * 64)
    assert facts["gov.base"] == (
        f"yourtts licence={PAPERS['licence']} source={PAPERS['source']} sha256:{DIGEST}".replace(
            "sha256:", "sha256="
        )
    )


def test_the_container_gets_the_exact_bytes_and_no_data(world, gate):
    seen: dict[str, Any] = {}

    def looks(keeper: Keeper) -> None:
        begin(keeper)
        seen.update(keeper.inputs, data=keeper._container.spec.data, order=dict(keeper.order.inputs))
        keeper.finish()

    gate.house.bases.receive(DIGEST, [PUBLISHED], ENGINEER)
    world.script = looks
    assert run_of(gate, bringing()).outcome == "finished"
    assert seen == {"file": PUBLISHED, "data": None, "order": {}}


def test_gigabytes_are_copied_in_pieces_and_the_lease_is_kept_meanwhile(gate, brought, monkeypatch):
    """A base is larger than the memory of a gate may be, and its copying longer than a lease."""
    monkeypatch.setattr(files, "PIECE_BYTES", 8)
    looks: list[str] = []
    monkeypatch.setattr(launches.Launch, "_wanted", lambda launch: looks.append(launch._run))
    tuned, again = run_of(gate, tuning("bring@1")), run_of(gate, bringing())
    assert (tuned.outcome, again.outcome) == ("finished", "finished")
    assert looks.count(again.id) == -(-len(PUBLISHED) // 8) and looks.count(tuned.id) > 8


@pytest.mark.parametrize(
    "changes",
    [
        {"parameters": {**PAPERS, "licence": ""}},
        {"parameters": {**PAPERS, "source": ""}},
        {"inputs": {"file": f"sha256:{DIGEST}", "config": "bring@1"}},
    ],
    ids=["no licence", "no source", "a model for a file"],
)
def test_a_file_without_its_papers_or_beside_a_model_is_refused(gate, brought, changes):
    with pytest.raises(Refused) as said:
        admit(gate, bringing(**changes))
    assert "input.public_file" in {reason.code for reason in said.value.reasons}


@pytest.mark.parametrize("code", ["base.pickle", "base.malformed", "base.empty"])
def test_a_file_that_is_no_base_makes_none(world, gate, code):
    def refuses(keeper: Keeper) -> None:
        begin(keeper)
        scripts.confesses(keeper, code)

    gate.house.bases.receive(DIGEST, [PUBLISHED], ENGINEER)
    world.script = refuses
    failed = run_of(gate, bringing())
    assert (failed.outcome, failed.failure, failed.model) == ("failed", code, None)
    assert broken(gate.house) == []


# What is made from it


def test_a_fine_tuned_model_has_the_base_and_its_own_people(gate, brought):
    made = run_of(gate, tuning("bring@1"))
    assert (made.outcome, made.model) == ("finished", "tune v1"), made.failure
    graph = gate.house.store.read(heritage.graph)
    assert graph.bases(lineage.model("tune", 1)) == (DIGEST,)
    assert {who for _, who in graph.speakers(lineage.model("tune", 1))} == {ANNA, BEN}
    assert broken(gate.house) == []


def test_fine_tuning_is_asked_for_as_what_it_is(gate, brought):
    with pytest.raises(Refused) as said:
        admit(gate, tuning("bring@1", purpose="train"))
    assert {reason.code for reason in said.value.reasons} == {"input.fine_tuning"}


@pytest.fixture
def tuned(gate: Any) -> Any:
    """``tune@1``: of Ben alone, from ``hum@1``, which heard Anna too."""
    run_of(gate)
    made = run_of(gate, tuning("hum@1", subjects=(BEN,)))
    assert (made.outcome, made.model) == ("finished", "tune v1"), made.failure
    return made


def test_the_people_of_the_base_stay_with_what_is_made_from_it(world, gate, tuned):
    assert chronicle.granted(tuned).subjects == (BEN,)
    who = gate.house.store.read(lambda c: heritage.speakers(c, tuned.id))
    assert who == ((DATASET, ANNA), (DATASET, BEN))
    withdraw_consent(world.desk, STEWARD, DATASET, ANNA)
    rights.honour(gate, gate.registers.read())
    assert set(gate.house.store.read(withdrawal.marks)) == {"hum@1", "tune@1"}
    with pytest.raises(Refused) as said:
        admit(gate, tuning("tune@1", subjects=(BEN,)))
    assert {"input.withdrawn", "consent.withdrawn"} <= {reason.code for reason in said.value.reasons}


def test_a_fine_tuning_goes_on_from_its_checkpoint_and_keeps_the_people_of_its_base(world, gate):
    run_of(gate)
    world.script = saves_when_asked
    run = admit(gate, replace(tuning("hum@1", subjects=(BEN,)), **_named(PAUSE)))
    gate.supervision.begin(run)
    reaches(gate, run, RunState.TRAINING)
    stopping.ask(gate, run, ENGINEER)
    assert ended(gate, run).outcome == "finished"
    again = resuming.resume(gate, run, ENGINEER).run
    assert [item.path for item in chronicle.granted(row(gate, again)).inputs] == ["resume"]
    assert gate.house.store.read(lambda c: heritage.speakers(c, again)) == ((DATASET, ANNA), (DATASET, BEN))


def _named(recipe: dict[str, bytes]) -> dict[str, str]:
    asked = request(recipe)
    return {"recipe": asked.recipe, "recipe_digest": asked.recipe_digest}


def test_an_erasure_reaches_what_was_fine_tuned_from_the_voice(gate, tuned):
    graph = gate.house.store.read(heritage.graph)
    below = graph.descendants(lineage.subject(DATASET, ANNA))
    assert {lineage.model("hum", 1), lineage.model("tune", 1), lineage.run(tuned.id)} <= below


def test_a_model_of_another_agreement_is_no_base(gate, tuned):
    """As if ``hum@1`` had been made under another one: what came from it is bound by both."""
    first = next(item.run for item in chronicle.granted(tuned).inputs)

    def move(connection: Any) -> None:
        plan = dict(chronicle.find(connection, first).plan) | {"agreement": "dsa-2026-0002"}
        connection.execute(runs.update().where(runs.c.id == first).values(plan=plan))

    gate.house.store.transact(move)
    for base in ("hum@1", "tune@1"):
        with pytest.raises(Refused) as said:
            admit(gate, tuning(base))
        assert {reason.code for reason in said.value.reasons} == {"input.foreign"}


def since(gate: Any) -> dict[str, str | None]:
    return {account.subject: account.no_bound_since for account in gate.house.store.read(balances.accounts)}


def test_a_private_label_does_not_outlive_a_fine_tuning_that_is_not_private(gate):
    private = run_of(gate, request(privacy=PRIVATE))
    assert tags.privacy(chronicle.granted(private)).startswith("dp-sgd unit=speaker")
    assert since(gate) == {ANNA: None, BEN: None}
    made = run_of(gate, tuning("hum@1"))
    plan = chronicle.granted(made)
    assert tags.privacy(plan) == "none" and card.privacy(plan) == card.NO_BOUND
    assert since(gate) == {ANNA: made.id, BEN: made.id}


def test_a_private_fine_tuning_bounds_nothing_for_the_people_of_its_base(gate):
    first = run_of(gate)
    made = run_of(gate, tuning("hum@1", privacy=PRIVATE, subjects=(BEN,)))
    assert made.outcome == "finished", made.failure
    assert since(gate) == {ANNA: first.id, BEN: first.id}
    rows = gate.house.store.read(lambda c: list(c.execute(sa.select(budget).where(budget.c.run == made.id))))
    assert {row.subject for row in rows} == {BEN}
    plan = chronicle.granted(made)
    assert tags.privacy(plan).endswith("bounds=dataset-only people-of-inputs=unbounded")
    assert card.privacy(plan).endswith(card.NOT_THEIRS)
