"""What a card says, and that it says nothing more than was signed."""

from __future__ import annotations

from dataclasses import replace

from sandbox.tracking import card
from tests.tracking.runs import EVALUATION, MODEL, PRIVATE, grant


def test_a_card_tells_whose_data_for_what_and_the_claim_with_its_unit() -> None:
    said = card.text(grant(), MODEL)
    assert said.startswith("# digits v1") and "Derivative result of Party A" in said
    assert "| people | 2, each of whom had consented" in said
    assert "one speaker is bounded by epsilon 8 at delta 1e-05" in said
    assert "parameters | learning_rate 0.001, steps 100" in said


def test_a_card_names_no_voice() -> None:
    assert "spk_" not in card.text(grant(), MODEL)


def test_without_differential_privacy_the_card_says_that_there_is_no_bound() -> None:
    said = card.text(grant(privacy=None), MODEL)
    assert card.NO_BOUND in said and "epsilon" not in said


def test_another_unit_is_another_claim() -> None:
    assert "one utterance is bounded" in card.privacy(grant(privacy=replace(PRIVATE, unit="utterance")))


def test_a_model_made_from_a_model_says_from_which() -> None:
    said = card.text(EVALUATION, MODEL)
    assert (
        f"model-100.safetensors of r-2345, sha256:{'9' * 64}" in said
        and "people" not in said.split("## Training")[0].split("|")[0]
    )


def test_a_parameter_breaks_out_of_no_table() -> None:
    said = card.text(grant(parameters={"note": "a | b\n\n# Released <b>"}), MODEL)
    row = next(line for line in said.splitlines() if line.startswith("| parameters |"))
    assert row == "| parameters | note a \\| b # Released &lt;b> |" and "\n# Released" not in said


def test_a_card_fits_what_mlflow_keeps_of_it() -> None:
    long = {f"p{n}": "x" * 200 for n in range(40)}
    assert len(card.text(grant(parameters=long), MODEL).encode()) < 5000
