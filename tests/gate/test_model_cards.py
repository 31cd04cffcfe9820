"""A model's card at the gate: the signed half, the numbers of evaluating runs, and how it stands today."""

from __future__ import annotations

import pytest

from sandbox.custodian.consent import withdraw_consent
from sandbox.errors import NotFound
from sandbox.gate.console import model_cards, model_pages
from sandbox.gate.incidents import kill
from sandbox.gate.routes import report
from sandbox.gate.subjects.rights import honour
from sandbox.tracking import card
from tests.fakes.keeper import Keeper, begin, trains
from tests.fakes.studio import STEWARD
from tests.gate import scripts
from tests.gate.world import ANNA, BEN, DATASET, OPERATOR, World, listening, request, run_of


@pytest.fixture
def trained(gate):
    return run_of(gate, request(subjects=(ANNA, BEN)))


def hears(keeper: Keeper) -> None:
    begin(keeper)
    for step, value in enumerate((13.0, 18.0)):
        keeper.metric(step, value=value, name="heard")
    keeper.finish()


def hears_and_fails(keeper: Keeper) -> None:
    begin(keeper)
    keeper.metric(1, value=13.0, name="heard")
    scripts.confesses(keeper, "recipe.failed")


def found(gate, model: str = "hum@1"):
    return gate.house.store.read(lambda c: model_cards.of(c, model))


def test_a_card_says_what_was_signed_word_for_word_as_mlflow_shows_it(world: World, gate, trained):
    said = found(gate)
    (shown,) = world.tracking.survey().versions
    assert said["text"] == shown.description and card.NO_BOUND in said["text"]
    assert (said["model"], said["run"], said["people"]) == ("hum@1", trained.id, 2)
    assert said["standing"] == [
        ("classification", "party_a_confidential_derivative"),
        ("release", "denied"),
    ]


def test_quality_is_the_last_number_of_each_run_that_made_it_or_finished_on_it(world: World, gate, trained):
    world.script = hears
    heard = run_of(gate, listening())
    assert heard.outcome == "finished"
    world.script = hears_and_fails
    assert run_of(gate, listening()).outcome == "failed"
    world.script = trains
    run_of(gate, request(subjects=(BEN,)))  # another model
    last = {
        (run, name): points[-1]["value"]
        for run in (trained.id, heard.id)
        for name, points in gate.house.store.read(lambda c, r=run: report.metrics_of(c, r)).items()
    }
    assert {(one["run"], one["metric"]): one["value"] for one in found(gate)["quality"]} == last
    assert {run for run, _ in last} == {trained.id, heard.id}


def test_a_withdrawn_consent_stands_on_the_card_and_on_its_page(world: World, gate, trained):
    withdraw_consent(world.desk, STEWARD, DATASET, ANNA)
    honour(gate, gate.registers.read())
    assert dict(found(gate)["standing"])["consent withdrawn since"] == f"{DATASET}/{ANNA}"
    for page in (model_pages.list_page(gate), model_pages.card_page(gate, "hum@1")):
        assert f"{DATASET}/{ANNA}" in bytes(page.body).decode()


def test_a_model_of_a_stopped_scope_is_shown_as_frozen(gate, trained):
    name = kill.stop(gate.house, f"dataset:{DATASET}", OPERATOR)["id"]
    assert dict(found(gate)["standing"])["frozen by"] == name


def test_the_page_of_a_card_shows_every_part_of_it(gate, trained):
    page = bytes(model_pages.card_page(gate, "hum@1").body).decode()
    for part in ("Standing", "Data", "Training", "Privacy", "Quality", "Limits", card.NO_BOUND, trained.id):
        assert part in page


@pytest.mark.parametrize("name", ["hum@2", "hum", "hum@", "hum@x", "hum@" + "9" * 40, "<b>@1", "hum@¹"])
def test_what_is_no_model_is_said_in_one_line(gate, trained, name):
    with pytest.raises(NotFound) as caught:
        found(gate, name)
    assert caught.value.code == "model.unknown"
    page = model_pages.card_page(gate, name)
    assert page.status_code == 404 and b"<b>@1" not in bytes(page.body)
