"""A dry run shows every line, and lets one hear what was said."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

from tests.cli.conftest import Gate, Sandbox

SETTLED = ("state", '{"state": "settled", "outcome": "finished"}')


def line(text: str) -> tuple[str, str]:
    return ("text", json.dumps({"line": text}))


@pytest.fixture
def recipe(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    folder = tmp_path / "recipes" / "digits"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text("name: digits\n")
    monkeypatch.chdir(tmp_path)
    gate.answers["POST", "/v1/dry-runs"] = httpx.Response(201, json={"run": "r-7f3k9w"})
    return gate


def test_logs_are_shown_and_what_was_said_becomes_a_wav(
    recipe: Gate, sandbox: Sandbox, tmp_path: Path
) -> None:
    flac = io.BytesIO()
    soundfile.write(flac, np.zeros(800, dtype="float32"), 8000, format="FLAC")
    whole = flac.getvalue()
    pieces = [f"::file speech.flac {base64.b64encode(part).decode()}" for part in (whole[:50], whole[50:])]
    recipe.events("r-7f3k9w", line("step 1 loss 3.2"), *map(line, pieces), SETTLED)
    said = sandbox(
        "recipe", "dry-run", "digits", "--speak", "seven", "-o", str(tmp_path / "seven.wav"), "-p", "steps=50"
    )
    assert said.code == 0, said.err
    assert said.out == "step 1 loss 3.2\n"
    audio, rate = soundfile.read(tmp_path / "seven.wav")
    assert (len(audio), rate) == (800, 8000)
    asked = next(json.loads(r.content) for r in recipe.asked if r.url.path == "/v1/dry-runs")
    sent = {path: base64.b64decode(body) for path, body in asked["files"].items()}
    assert asked["parameters"] == {"steps": "50"}
    assert asked["speak"] == "seven" and sent == {"recipe.yaml": b"name: digits\n"}


def test_a_recipe_that_says_nothing_is_a_failure_when_something_was_asked(
    recipe: Gate, sandbox: Sandbox, tmp_path: Path
) -> None:
    recipe.events("r-7f3k9w", SETTLED)
    said = sandbox("recipe", "dry-run", "digits", "--speak", "seven", "-o", str(tmp_path / "seven.wav"))
    assert said.code == 4 and "said nothing" in said.err


def test_speak_needs_a_place_to_write(recipe: Gate, sandbox: Sandbox) -> None:
    assert sandbox("recipe", "dry-run", "digits", "--speak", "seven").code == 2
    assert recipe.asked == []


def test_a_parameter_is_a_name_and_a_value(recipe: Gate, sandbox: Sandbox) -> None:
    said = sandbox("recipe", "dry-run", "digits", "-p", "steps")
    assert said.code == 2 and "NAME=VALUE" in said.err and recipe.asked == []
