"""Reviews on real parts: a changed recipe, a revoked image, and an emergency that everybody hears of."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from sandbox.demo.attempts import ENGINEER, STEWARD
from sandbox.demo.story import APPROVER, REVIEWERS
from tests.e2e.running import Runs


def asked(runs: Runs, recipes: Path) -> list[tuple[str, str]]:
    """The reasons (code, why) with which a run of ``probe`` is refused; nothing starts."""
    path = runs.stage.config("probe", parameters={"steps": 2, "attempts": False})
    answer = runs.stack.ask(ENGINEER, "run", str(path), "--recipes", str(recipes), "--dry-run")
    return [(one["code"], one["why"]) for one in answer.last["error"]["reasons"]] if answer.code else []


def test_one_changed_byte_is_refused_and_the_reviewer_sees_which(runs: Runs, tmp_path: Path) -> None:
    shutil.copytree(runs.stage.source / "recipes" / "probe", tmp_path / "probe")
    recipe = tmp_path / "probe" / "recipe.py"
    recipe.write_text(recipe.read_text() + "# one line\n")
    runs.stack.must(ENGINEER, "recipe", "submit", str(tmp_path / "probe"))
    ((code, why),) = asked(runs, tmp_path)
    assert code == "recipe.unapproved" and why.endswith("it differs in recipe.py +1 -0")
    shown = runs.stack.must(REVIEWERS[0], "recipe", "review", "probe").last
    assert shown["diff"].splitlines()[-1] == "+# one line"
    for reviewer in REVIEWERS:
        runs.stack.must(reviewer, "recipe", "approve", "probe", shown["digest"], "--purpose", "train")
    assert asked(runs, tmp_path) == []
    runs.stack.must(REVIEWERS[1], "recipe", "revoke", shown["digest"], "--reason", "a line nobody needs")
    assert {code for code, _ in asked(runs, tmp_path)} == {"recipe.revoked", "recipe.unapproved"}
    assert asked(runs, runs.stage.source / "recipes") == []


def test_no_run_starts_in_an_image_that_was_revoked(runs: Runs) -> None:
    recipes = runs.stage.source / "recipes"
    image = runs.stack.must(REVIEWERS[0], "image", "review", "--against", str(runs.stack.places.app)).last
    assert image["installed"] and image["approved_by"] == [REVIEWERS[0]] and image["differ"] == []
    assert "docker/runner.lock" in image["inputs"]
    runs.stack.must(REVIEWERS[0], "image", "revoke", image["id"], "--reason", "a drill")
    try:
        assert [code for code, _ in asked(runs, recipes)] == ["image.unapproved"]
        assert runs.stack.ask(ENGINEER, "image", "approve", image["id"]).code == 3
    finally:
        runs.stack.must(REVIEWERS[0], "image", "approve", image["id"])
    assert asked(runs, recipes) == []


def alerts(runs: Runs) -> list[str]:
    """What was said of break-glass, in the gate's own database."""
    database = f"file:{runs.stack.places.gate_private / 'gate.db'}?mode=ro"
    with closing(sqlite3.connect(database, uri=True, timeout=10)) as connection:
        rows = connection.execute("SELECT about FROM alerts WHERE rule = 'access.break_glass'")
        return [str(row[0]) for row in rows]


def test_break_glass_takes_two_people_and_is_heard_of_within_a_minute(runs: Runs) -> None:
    words = ("access", "break-glass", "--person", ENGINEER, "--dataset", "digits", "--purpose", "evaluate")
    request = runs.stack.must(STEWARD, *words, "--for", "PT1H", "--reason", "a drill").last["id"]
    assert runs.stack.ask(STEWARD, "access", "confirm", request).code == 3 and alerts(runs) == []
    access = runs.stack.must(APPROVER, "access", "confirm", request).last["access"]
    began = time.monotonic()
    while not any(access in about for about in alerts(runs)):
        assert time.monotonic() - began < 60, "nobody was told"
        time.sleep(0.05)
    removed = runs.stack.must(APPROVER, "access", "review", "--remove", access).last
    assert removed["verdict"] == "removed"
    standing = [row["id"] for row in runs.stack.must(APPROVER, "access", "review").lines]
    assert standing and access not in standing
