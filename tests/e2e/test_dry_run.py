"""A recipe on public speech: the same container, outside any agreement, every log line shown, nothing kept."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import soundfile

from sandbox.demo import speech
from sandbox.demo.attempts import ENGINEER
from sandbox.demo.story import Stage
from tests.e2e.conftest import OPERATOR, ROOT, Stack


@pytest.fixture(scope="module")
def public(stack: Stack, stage: Stage) -> Path:
    """The installation with public speech."""
    folder = stage.work / "public"
    speech.gather_digits(folder, "spk_pub0")
    stack.must(OPERATOR, "up", "--public-speech", str(folder))
    return folder


def test_a_recipe_is_debugged_and_heard_on_public_speech(stack: Stack, public: Path, tmp_path: Path) -> None:
    heard = tmp_path / "seven.wav"
    words = ("recipe", "dry-run", "digits", "-p", "steps=3", "--speak", "seven", "-o", str(heard))
    done = subprocess.run(
        stack.house._argv(words),
        env=stack.house._environment(ENGINEER),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    sound, rate = soundfile.read(heard)
    assert rate == 16_000 and len(sound) > rate // 20
    dry = [run for run in stack.must(ENGINEER, "runs", "list").lines if run["kind"] == "dry-run"]
    assert dry and all(run["model"] is None and run["agreement"] == "" for run in dry)


def test_a_recipe_that_fails_shows_its_traceback(stack: Stack, public: Path, tmp_path: Path) -> None:
    folder = tmp_path / "recipes" / "probe"
    folder.mkdir(parents=True)
    card = (ROOT / "recipes/probe/recipe.yaml").read_text()
    (folder / "recipe.yaml").write_text(card)
    (folder / "recipe.py").write_text(
        "def main(run):\n    print('so far')\n    raise ValueError('on public speech')\n"
    )
    done = subprocess.run(
        stack.house._argv(("recipe", "dry-run", "probe")),
        env={**stack.house._environment(ENGINEER), "PYTHONPATH": os.pathsep.join([str(ROOT)])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 4
    assert "so far" in done.stdout and "ValueError: on public speech" in done.stdout
