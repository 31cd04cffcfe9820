"""What a run may say and when: numbers as dense as its card says, thinner where it is long; files at their steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.policy.recipe import MAX_POINTS, Card, expand, points, read_card

RECIPES = Path(__file__).parents[2] / "recipes"
TRAINING = ["digits", "fastpitch", "fastspeech2", "glowtts", "vits", "voices-dp"]


def card(name: str) -> Card:
    return read_card({file: (RECIPES / name / file).read_bytes() for file in ("recipe.yaml", "recipe.py")})


@pytest.mark.parametrize("name", TRAINING)
def test_the_longest_run_that_a_card_allows_may_say_every_number_that_it_will(name: str) -> None:
    """One more than was granted, and the gate ends it."""
    its = card(name)
    steps = int(its.parameters["steps"].max or 0)
    found = expand(its, {"steps": steps})
    assert points((metric.every for metric in found.metrics), steps) <= MAX_POINTS
    for metric in found.metrics:
        assert metric.every % its.metrics[metric.name].every == 0


@pytest.mark.parametrize(
    ("steps", "every"), [(24, 1), (6_000, 1), (7_000, 2), (100_000, 20), (1_000_000, 200)]
)
def test_a_short_run_is_told_step_by_step_and_a_long_one_thinner(steps: int, every: int) -> None:
    assert {metric.every for metric in expand(card("fastpitch"), {"steps": steps}).metrics} == {every}


def test_a_recipe_without_steps_is_told_as_its_card_says() -> None:
    assert {metric.every for metric in expand(card("digits-evaluate"), {}).metrics} == {1}


@pytest.mark.parametrize(("steps", "scheduled"), [(1, []), (4, [1, 2, 3]), (20, [2, 6, 10, 14, 18])])
def test_no_checkpoint_is_scheduled_for_the_last_step(steps: int, scheduled: list[int]) -> None:
    found = expand(card("fastpitch"), {"steps": steps}).artifacts
    assert [a.steps[0] for a in found if a.path.startswith("checkpoint-")] == scheduled
    assert [a.path for a in found if not a.steps] == ["checkpoint.safetensors"]
    assert [a.steps[0] for a in found if a.path.startswith("model")][-1] == steps
