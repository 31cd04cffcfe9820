"""Attacks judged by the gate: it knows who was in, the recipe does not; a claim proved false stops the model."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from sandbox.custodian.consent import import_consents
from sandbox.custodian.seal import seal_upload
from sandbox.errors import Refused
from sandbox.gate.console import model_cards, model_pages, plots
from sandbox.gate.database.tables import alerts, incidents
from sandbox.gate.incidents import catching_up, duties, incident, notices
from sandbox.gate.ledger.invariants import broken
from sandbox.gate.runs import attacks
from sandbox.policy import membership
from sandbox.policy.membership import PEOPLE, SCORES
from sandbox.runs import Kind, Privacy
from sandbox.statements import open_statement
from tests.fakes.keeper import Keeper, Script, begin, trains
from tests.fakes.studio import STEWARD, consent, facts, upload, wave
from tests.gate.world import (
    AGREEMENT,
    ANNA,
    BEN,
    ENGINEER,
    OPERATOR,
    REVIEWERS,
    World,
    request,
    run_of,
    sent,
)

RECIPES = Path(__file__).parents[2] / "recipes"
ATTACK, AUDIT = (
    {name: (RECIPES / recipe / name).read_bytes() for name in ("recipe.yaml", "recipe.py")}
    for recipe in ("membership", "privacy-audit")
)
CROWD = tuple(f"spk_{n:04d}" for n in range(48))
IN = CROWD[::2]
CLAIMED = Privacy("speaker", 0.5, 1e-5, 1.0, 0.5)


def guesses(apart: float, *, met: int = 0, among: tuple[str, ...] = IN) -> Script:
    """Losses of everybody, those of who was in lower by ``apart``; ``met`` more people than were granted."""

    def script(keeper: Keeper) -> None:
        begin(keeper)
        draw, people = random.Random(1), sorted(keeper.grant.subjects)
        for place, person in enumerate(people):
            for name in SCORES:
                keeper.metric(place, round(50 + draw.random() - apart * (person in among), 4), name)
        keeper.metric(0, len(people) + met, PEOPLE)
        keeper.finish()

    return script


@pytest.fixture
def crowded(world: World, gate) -> World:
    """Many more people, and the attack approved."""
    import_consents(world.desk, STEWARD, [consent(who) for who in CROWD])
    heard = [(facts(n, who), wave(n)) for n, who in enumerate(CROWD, 2)]
    list(seal_upload(world.desk, STEWARD, upload(heard, add=True)))
    digest = gate.house.recipes.submit(sent(ATTACK), ENGINEER)["digest"]
    for reviewer in REVIEWERS:
        gate.house.recipes.approve(digest, "", reviewer)
    return world


def trained(world: World, gate, privacy: Privacy | None = CLAIMED):
    world.script = trains
    made = run_of(gate, request(subjects=IN, privacy=privacy))
    assert made.outcome == "finished", made.failure
    return made


def attacked(world: World, gate, script: Script, model: str = "hum@1", subjects=CROWD):
    world.script = script
    found = run_of(gate, attacking(model, subjects))
    assert found.outcome == "finished", found.failure
    return found


def attacking(model: str = "hum@1", subjects=CROWD):
    return request(ATTACK, purpose="test", subjects=subjects, inputs={"model": model})


def judged(gate, made_by: str):
    return gate.house.store.read(lambda c: attacks.found(c, made_by))


def opened(gate):
    asked = sa.select(incidents).where(incidents.c.kind == "privacy.claim_false")
    return gate.house.store.read(lambda c: c.execute(asked).all())


def refused(gate, asked) -> set[str]:
    with pytest.raises(Refused) as caught:
        gate.admission.ask(asked, ENGINEER)
    return {reason.code for reason in caught.value.reasons}


@pytest.mark.both_databases
def test_a_claim_that_is_proved_false_stops_the_model_and_tells_everybody(crowded: World, gate):
    made = trained(crowded, gate)
    attack = attacked(crowded, gate, guesses(9.0))
    (found,) = judged(gate, made.id)
    assert (found["run"], found["members"], found["others"]) == (attack.id, 24, 24)
    assert (
        found["claim"] == {"epsilon": 0.5, "delta": 1e-5} and found["lower_bound"] > 0.5 and found["refutes"]
    )
    (row,) = opened(gate)
    assert (row.id, row.run, row.scope) == (found["incident"], attack.id, f"run:{made.id}")
    assert row.detail["message"] == f"epsilon is at least {found['lower_bound']:.3g}, and 0.5 is claimed"

    refusing = refused(gate, attacking())
    assert "model.claim_false" in refusing and "model.frozen" not in refusing
    catching_up.turn(gate.house)
    assert crowded.tracking.frozen == {"hum@1": row.id}
    assert gate.house.store.read(duties.outstanding) == []
    rules = gate.house.store.read(lambda c: list(c.execute(sa.select(alerts.c.rule)).scalars()))
    assert "incident.opened" in rules
    notices.draft_missing(gate.house)
    told = gate.house.store.read(lambda c: notices.found(c, row.id))
    assert told[0]["addressee"] == "party_a" and told[0]["agreement"] == AGREEMENT
    assert told[0]["facts"]["models"] == ["hum@1"] and told[0]["facts"]["kind"] == "privacy.claim_false"
    assert broken(gate.house) == []


def test_a_person_who_explains_it_gives_the_model_back_and_the_next_attack_may_stop_it_again(
    crowded: World, gate
):
    trained(crowded, gate)
    attacked(crowded, gate, guesses(9.0))
    (row,) = opened(gate)
    incident.resume(gate.house, row.id, OPERATOR)
    catching_up.turn(gate.house)
    assert crowded.tracking.frozen == {}
    attacked(crowded, gate, guesses(9.0))
    assert len(opened(gate)) == 2 and "model.claim_false" in refused(gate, attacking())


@pytest.mark.parametrize(
    ("apart", "privacy"), [(0.0, CLAIMED), (9.0, None)], ids=["a bound below the claim", "no claim"]
)
def test_what_proves_no_claim_false_stops_nothing(crowded: World, gate, apart: float, privacy):
    made = trained(crowded, gate, privacy)
    attacked(crowded, gate, guesses(apart))
    (found,) = judged(gate, made.id)
    assert not found["refutes"] and "incident" not in found and opened(gate) == []
    assert found["attacks"][0]["auc"] == (1.0 if apart else pytest.approx(0.5, abs=0.25))
    assert (found["claim"] is None) is (privacy is None)
    attacked(crowded, gate, guesses(0.0))  # it is an input as before


@pytest.mark.parametrize(
    ("script", "subjects"),
    [
        (guesses(9.0, met=1), CROWD),
        (guesses(9.0, met=-1), CROWD),
        (guesses(9.0), IN),
        (guesses(9.0), (ANNA, BEN)),
    ],
    ids=["more people", "fewer people", "members only", "others only"],
)
def test_numbers_that_do_not_fit_are_judged_by_nobody(crowded: World, gate, script: Script, subjects):
    made = trained(crowded, gate)
    attacked(crowded, gate, script, subjects=subjects)
    (found,) = judged(gate, made.id)
    assert found["why"] and "attacks" not in found and opened(gate) == []


def test_the_recipe_is_never_told_who_was_in(crowded: World, gate):
    """Whoever it calls members: the grant of the run names people and the model, and the gate alone joins them."""
    made = trained(crowded, gate)
    attack = attacked(crowded, gate, guesses(9.0, among=CROWD[1::2]))
    assert set(attack.plan["parameters"]) == {"text", "records"}
    assert attack.plan["subjects"] == list(CROWD)
    (found,) = judged(gate, made.id)
    assert found["attacks"][0]["auc"] == 0.0 and not found["refutes"]


def test_the_judgement_is_signed_without_its_curves(crowded: World, gate):
    trained(crowded, gate)
    attack = attacked(crowded, gate, guesses(9.0))
    path = gate.house.places.statements / f"run-{attack.id}.dsse.json"
    said = open_statement(path.read_bytes(), "run", gate.house.trust("gate")).predicate["attack"]
    assert said["refutes"] and said["attacks"][0]["auc"] == 1.0 and "roc" not in said["attacks"][0]


def test_the_card_and_its_page_show_what_was_proved(crowded: World, gate):
    made = trained(crowded, gate)
    page = bytes(model_pages.card_page(gate, "hum@1").body).decode()
    assert "By none that was judged" in page and membership.HONEST in page and "<svg" not in page
    attack = attacked(crowded, gate, guesses(9.0))
    card = gate.house.store.read(lambda c: model_cards.of(c, "hum@1"))
    standing = dict(card["standing"])
    assert standing["epsilon proved false by"] == attack.id and standing["frozen by"] == opened(gate)[0].id
    assert [one["run"] for one in card["attacks"]] == [attack.id] and card["run"] == made.id
    page = bytes(model_pages.card_page(gate, "hum@1").body).decode()
    assert f"Tested by attack, {attack.id}" in page and "THE CLAIM IS FALSE" in page
    assert page.count("<svg") == 1 and all(score in page for score in SCORES)
    incident.resume(gate.house, opened(gate)[0].id, OPERATOR)
    assert "epsilon proved false by" in dict(
        gate.house.store.read(lambda c: model_cards.of(c, "hum@1"))["standing"]
    )


def test_a_drawing_is_its_points_and_escapes_names():
    drawn = plots.roc({"a<b": [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]})
    low, high, edge = plots.MARGIN + plots.SIDE, plots.MARGIN, plots.MARGIN
    assert f'points="{edge},{low} {edge},{high} {low},{high}"' in drawn
    assert "a&lt;b" in drawn and "<script" not in drawn and "a<b" not in drawn


def audits(claim: float, bound: float) -> Callable[[Keeper], None]:
    def script(keeper: Keeper) -> None:
        begin(keeper)
        for name, value in (("claim", claim), ("lower_bound", bound)):
            keeper.metric(5, value, name)
        keeper.finish()

    return script


@pytest.mark.parametrize(
    ("bound", "noise", "incidents_opened"), [(3.0, True, 1), (0.2, True, 0), (3.0, False, 0)],
    ids=["false", "kept", "broken on purpose"],
)  # fmt: skip
def test_an_audit_of_the_engine_that_proves_its_claim_false_is_an_incident(
    world: World, gate, bound: float, noise: bool, incidents_opened: int
):
    world.settings = replace(world.settings, public_digest="5" * 64)
    world.script = audits(1.0, bound)
    gate.house.recipes.submit(sent(AUDIT), ENGINEER)
    asked = request(
        AUDIT, purpose="evaluate", dataset=None, agreement="", kind=Kind.DRY, parameters={"noise": noise}
    )
    found = run_of(gate, asked)
    assert found.outcome == "finished", found.failure
    rows = opened(gate)
    assert len(rows) == incidents_opened and all(row.scope == f"run:{found.id}" for row in rows)
    notices.draft_missing(gate.house)
    assert broken(gate.house) == []
