"""Runs that start from models: what a public file may be given to, what fine-tuning is, whose people come along."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.policy.decide import decide
from sandbox.policy.facts import InputFacts
from tests.policy import cases
from tests.policy import world as w

IMPORTED = w.model(speakers=(), bases=(w.MODEL,))


def codes(world: cases.World) -> list[str]:
    return [reason.code for reason in decide(*world).reasons]


def test_a_published_file_with_its_papers_is_opened_without_anybodys_consent() -> None:
    found = decide(*cases.importing())
    assert found.permitted and found.speakers == () and found.subjects == ()


def test_a_published_file_is_opened_beside_no_data() -> None:
    asked, facts = cases.importing(dataset="digits")
    beside = replace(facts, manifest=w.manifest(), registered=w.registers().dataset("digits", 3))
    assert "input.public_file" in codes((asked, beside))


def test_a_published_file_is_opened_beside_no_model() -> None:
    asked, facts = cases.importing(inputs={"file": f"sha256:{w.MODEL}", "config": "digits@1"})
    beside = replace(facts, inputs={**facts.inputs, "config": w.model()})
    assert codes((asked, beside)).count("input.public_file") == 2


def test_a_recipe_that_takes_models_takes_no_unchecked_file_for_one() -> None:
    asked = w.evaluation(inputs={"model": f"sha256:{w.MODEL}"}, parameters={"licence": "x", "source": "y"})
    file = InputFacts(f"sha256:{w.MODEL}", w.MODEL, (), (), public=True)
    assert codes((asked, w.evaluation_facts(asked, inputs={"model": file}))) == ["input.public_file"]


@pytest.mark.parametrize("lacks", ["licence", "source"])
def test_a_published_file_without_its_papers_stays_closed(lacks: str) -> None:
    papers = {"licence": "MPL-2.0", "source": "https://example.org", lacks: ""}
    assert codes(cases.importing(parameters=papers)) == ["input.public_file"]


def test_starting_from_a_model_needs_no_base_and_may_have_one() -> None:
    assert decide(*cases.tuning()).permitted
    asked, facts = cases.tuning()
    fresh = replace(asked, inputs={})
    assert decide(fresh, replace(facts, inputs={})).permitted


def test_a_recipe_that_only_fine_tunes_needs_its_base() -> None:
    asked, facts = cases.tuning(inputs={})
    only = w.card(inputs=("base",), purposes=("optimise",))
    assert codes((asked, w.facts(asked, recipe=only))) == ["input.unexpected"]
    assert facts.recipe is not None


def test_a_run_goes_on_or_starts_from_a_model_not_both() -> None:
    asked, facts = cases.tuning(inputs={"base": "digits@1", "resume": "r-234567@4"})
    both = replace(facts, inputs={**facts.inputs, "resume": w.model(model="r-234567@4")})
    assert codes((asked, both)) == ["input.unexpected"]


def test_a_recipe_that_only_fine_tunes_goes_on_beside_its_base() -> None:
    """What it does not train stands in the base, never in a checkpoint."""
    asked, facts = cases.tuning(inputs={"base": "digits@1", "resume": "r-234567@4"})
    assert facts.recipe is not None
    only = replace(facts.recipe, inputs=("base", "resume"), purposes=("optimise",))
    both = {**facts.inputs, "resume": w.model(model="r-234567@4")}
    assert codes((asked, replace(facts, recipe=only, inputs=both))) == []


@pytest.mark.parametrize(
    ("left_by", "asked_for", "refused"),
    [("optimise", "train", True), ("optimise", "optimise", False), ("train", "train", False)],
)
def test_a_fine_tuning_goes_on_as_what_it_is(left_by: str, asked_for: str, refused: bool) -> None:
    asked, facts = cases.tuning(inputs={"resume": "r-234567@4"}, purpose=asked_for)
    given = {"resume": w.model(model="r-234567@4", purpose=left_by)}
    assert codes((asked, replace(facts, inputs=given))) == ["input.fine_tuning"] * refused


def test_the_people_of_the_base_are_asked_with_those_of_the_dataset() -> None:
    """A base of other people: their consent and their dataset's access count like everybody's."""
    asked, facts = cases.tuning(w.model(speakers=(("voices", "spk_old"),)))
    found = decide(asked, facts)
    assert ("voices", "spk_old") in found.speakers and "spk_old" not in found.subjects
    assert {"consent.missing", "access.missing"} <= {r.code for r in found.reasons}


def test_an_erased_voice_in_the_base_refuses_the_fine_tuning() -> None:
    asked, _ = cases.tuning(subjects=("spk_bb",))
    gone = w.registers(erasure=[{"subject": "spk_aa", "dataset": "digits", "status": "asked"}])
    card = w.card(inputs=("resume", "base"), purposes=("train", "optimise"))
    facts = w.facts(asked, recipe=card, inputs={"base": w.model()}, registers=gone)
    assert codes((asked, facts)) == ["subject.erased"]


@pytest.mark.parametrize("agreements", [("dsa-2026-0002",), (w.AGREEMENT, "dsa-2026-0002"), ()])
def test_a_model_of_another_agreement_is_no_base(agreements: tuple[str, ...]) -> None:
    assert codes(cases.tuning(w.model(agreements=agreements))) == ["input.foreign"]
    assert codes(cases.tuning(replace(IMPORTED, agreements=agreements))) == ["input.foreign"]


def test_an_imported_base_has_a_lineage_of_nobody() -> None:
    assert decide(*cases.tuning(IMPORTED)).permitted
    asked = w.evaluation()
    alone = w.evaluation_facts(asked, inputs={"model": IMPORTED})
    assert decide(asked, alone).permitted


def test_a_model_of_nobody_and_of_no_public_file_is_still_refused() -> None:
    assert "input.unknown" in codes(cases.tuning(w.model(speakers=())))


def test_a_private_training_that_began_from_a_model_asks_about_both() -> None:
    """Its claim is of the dataset's people alone; the card and the tags say so (tests/tracking)."""
    world = cases.tuning(privacy=w.PRIVATE)
    asked, facts = world
    card = w.card(inputs=("resume", "base"), purposes=("train", "optimise"), dp="supported")
    facts = w.facts(asked, recipe=card, inputs=facts.inputs, spending=w.SPENT)
    assert decide(asked, facts).permitted
