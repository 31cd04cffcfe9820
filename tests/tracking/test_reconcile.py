"""Hostile hands at a real MLflow: whatever they do is named, and repaired where it can be."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sandbox.tracking.reconcile import Actual, compare
from sandbox.tracking.survey import read_all, repair
from sandbox.tracking.view import Tracking
from tests.tracking.runs import EXPECTED

Hand = Callable[[Tracking], object]


def place(tracking: Tracking, run: str = "r-2345") -> str:
    return tracking.find(run).info.run_id


def logged(tracking: Tracking) -> str:
    return read_all(tracking).logged[0].place


def _foreign_model(tracking: Tracking) -> None:
    tracking.client.create_registered_model("stolen")
    tracking.client.create_model_version("stolen", source="/nowhere", run_id=place(tracking))


def _second_version(tracking: Tracking) -> None:
    tracking.client.create_model_version("digits", source="/nowhere", tags={"gov.model": "digits@1"})


def _forge_param(tracking: Tracking) -> None:
    """Params are write-once through MLflow; somebody at the database can still change them."""
    import sqlite3

    path = tracking.uri.removeprefix("sqlite:///")
    with sqlite3.connect(path) as database:
        database.execute("UPDATE params SET value = 'public' WHERE key = 'gov.classification'")


REPAIRED: dict[str, tuple[str, Hand]] = {
    "a tag is overwritten": (
        "tag.forged",
        lambda t: t.client.set_tag(place(t), "gov.classification", "public"),
    ),
    "a tag is deleted": ("tag.missing", lambda t: t.client.delete_tag(place(t), "gov.classification")),
    "epsilon is prettified": ("tag.forged", lambda t: t.client.set_tag(place(t), "gov.epsilon", "0.1")),
    "a model's tag is overwritten": (
        "tag.forged",
        lambda t: t.client.set_model_version_tag("digits", "1", "gov.release", "granted"),
    ),
    "a model's tag is deleted": (
        "tag.missing",
        lambda t: t.client.delete_model_version_tag("digits", "1", "gov.classification"),
    ),
    "a logged model's tag is overwritten": (
        "tag.forged",
        lambda t: t.client.set_logged_model_tags(logged(t), {"gov.engineer": "somebody"}),
    ),
    "a run is deleted": ("run.deleted", lambda t: t.client.delete_run(place(t))),
    "a version is deleted": ("model.missing", lambda t: t.client.delete_model_version("digits", "1")),
    "a registered model is deleted": ("model.missing", lambda t: t.client.delete_registered_model("digits")),
    "a logged model is deleted": ("logged_model.missing", lambda t: t.client.delete_logged_model(logged(t))),
    "a card is rewritten": (
        "card.forged",
        lambda t: t.client.update_model_version("digits", "1", "Private: epsilon 0.1."),
    ),
    "an alias is set": (
        "alias.forged",
        lambda t: t.client.set_registered_model_alias("digits", "released", "1"),
    ),
    "a run is reopened": ("run.status", lambda t: t.client.update_run(place(t), status="RUNNING")),
    "the run's id is taken away": ("run.missing", lambda t: t.client.delete_tag(place(t), "gov.run")),
}

NAMED: dict[str, tuple[str, Hand]] = {
    "a run that nobody granted": ("run.unknown", lambda t: t.client.create_run("0")),
    "a run with a forged id": ("run.unknown", lambda t: t.client.create_run("0", tags={"gov.run": "r-9999"})),
    "a second run under a grant": (
        "run.copied",
        lambda t: t.client.create_run("0", tags={"gov.run": "r-2345"}),
    ),
    "a tag that the gate never sets": (
        "tag.unknown",
        lambda t: t.client.set_tag(place(t), "gov.cleared", "yes"),
    ),
    "a model that no run produced": ("model.unknown", _foreign_model),
    "a second version of a model": ("model.copied", _second_version),
    "another parameter": ("param.forged", _forge_param),
}


@pytest.mark.parametrize(("kind", "hand"), [*REPAIRED.values(), *NAMED.values()], ids=[*REPAIRED, *NAMED])
def test_whatever_is_done_to_mlflow_is_named(shown, kind: str, hand: Hand) -> None:
    hand(shown)
    assert kind in {difference.kind for difference in compare(EXPECTED, read_all(shown))}


@pytest.mark.parametrize(("kind", "hand"), REPAIRED.values(), ids=REPAIRED)
def test_what_was_signed_is_written_back(shown, kind: str, hand: Hand) -> None:
    hand(shown)
    left = {difference.kind for difference in repair(shown, EXPECTED)}
    assert kind not in left
    assert left <= {"run.unknown"}  # a run without its id is somebody's to explain; ours is there again


def test_repairing_what_is_right_changes_nothing(shown) -> None:
    before = read_all(shown)
    assert repair(shown, EXPECTED) == ()
    assert read_all(shown) == before


def test_a_signed_run_that_mlflow_never_saw_is_named(tracking) -> None:
    kinds = [difference.kind for difference in compare(EXPECTED, read_all(tracking))]
    assert kinds == ["run.missing", "run.missing", "model.missing", "logged_model.missing"]


def test_a_survey_survives_json(shown) -> None:
    actual = read_all(shown)
    assert Actual.from_json(actual.to_json()) == actual
