"""A model that is measured on recordings, or speaks with a vocoder: whose consent is asked, and what may lack."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.policy.decide import Decision, decide
from sandbox.policy.facts import InputFacts
from tests.policy import world as w

OTHERS = w.model(speakers=(("voices", "spk_old"),))


def measured(model: InputFacts, vocoder: InputFacts | None = None, **changes: Any) -> Decision:
    """A run of ``evaluate``: a dataset, a model, and a vocoder where there is one."""
    inputs = {"model": model} | ({} if vocoder is None else {"vocoder": vocoder})
    asked = w.request(purpose="evaluate", inputs={name: found.model for name, found in inputs.items()})
    card = w.card(purposes=("evaluate",), dp="none", inputs=("model", "vocoder"))
    return decide(asked, w.facts(asked, **{"recipe": card, "inputs": inputs, **changes}))


def codes(found: Decision) -> set[str]:
    return {reason.code for reason in found.reasons}


def test_a_model_is_measured_on_voices_that_consented() -> None:
    found = measured(w.model())
    assert found.permitted
    assert set(found.speakers) == {("digits", person) for person in w.PEOPLE}


def test_everybody_in_the_model_is_asked_beside_everybody_in_the_dataset() -> None:
    found = measured(OTHERS)
    assert ("voices", "spk_old") in found.speakers and ("digits", w.PEOPLE[0]) in found.speakers
    assert "spk_old" not in found.subjects
    assert {"consent.missing", "access.missing"} <= codes(found)


def test_one_who_never_consented_to_synthesis_is_measured_in_no_run() -> None:
    silent = w.registers(consent=[w.consent(person) for person in w.PEOPLE[1:]])
    assert "consent.missing" in codes(measured(w.model(), registers=silent))


def test_voices_that_may_only_be_trained_on_are_not_measured() -> None:
    only = w.manifest(purposes=("train",))
    assert not measured(w.model(), manifest=only).permitted


@pytest.mark.parametrize("lacks", ["model", "vocoder"])
def test_a_vocoder_may_lack_and_a_model_may_not(lacks: str) -> None:
    asked = w.request(purpose="evaluate", inputs={"model": "digits@1"} if lacks == "vocoder" else {})
    card = w.card(purposes=("evaluate",), dp="none", inputs=("model", "vocoder"))
    inputs = {"model": w.model()} if lacks == "vocoder" else {}
    found = decide(asked, w.facts(asked, recipe=card, inputs=inputs))
    assert codes(found) == (set() if lacks == "vocoder" else {"input.unexpected"})


def test_whose_voice_the_vocoder_learned_is_asked_too() -> None:
    assert measured(w.model(), w.model(model="vocoder@1")).permitted
    other = w.model(model="vocoder@1", speakers=(("voices", "spk_old"),))
    assert "consent.missing" in codes(measured(w.model(), other))
    tainted = w.model(model="vocoder@1", taint="voices/spk_old was erased")
    assert "input.tainted" in codes(measured(w.model(), tainted))
