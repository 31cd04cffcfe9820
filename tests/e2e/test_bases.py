"""On real parts a published checkpoint becomes a sealed base and a training starts from it; a malicious one does not.

The checkpoint is tiny and random: it is made here, by the trainer's own Python, as a training outside would leave it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sandbox.demo.attempts import AUDITOR, ENGINEER
from sandbox.demo.story import APPROVER, REVIEWERS, SEASON
from tests.e2e.conftest import ROOT
from tests.e2e.running import Runs

PYTHON = ROOT / ".venv-train" / "bin" / "python"
PAPERS = ("--model", "fastpitch", "--licence", "MPL-2.0", "--source", "https://example.org/fastpitch.pth")
TINY = {"size": "tiny", "steps": 2, "batch_size": 4, "learning_rate": 0.0001}
MAKE = """
import os, sys, torch
from sandbox.training import fastpitch
torch.manual_seed(7)
model = fastpitch.build(fastpitch.tiny(fastpitch.FASTPITCH))
held = {"model": model.state_dict(), "step": 1000, "config": {"run_name": "ljspeech"}}
class Malicious:
    def __reduce__(self):
        return os.system, ("touch " + sys.argv[2],)
if len(sys.argv) > 2:
    held["extra"] = Malicious()
torch.save(held, sys.argv[1])
"""


def published(path: Path, *marks: Path) -> Path:
    words = [str(PYTHON), "-c", MAKE, str(path), *map(str, marks)]
    subprocess.run(
        words, cwd=ROOT, env={"PYTHONPATH": str(ROOT), "HOME": str(path.parent)}, check=True, timeout=600
    )
    return path


@pytest.fixture(scope="module")
def approved(runs: Runs) -> Runs:
    """Both recipes looked at by two people, and the engineer let to fine-tune."""
    if not PYTHON.exists():
        pytest.skip("the trainer's environment is not set up here: sh setup/venv.sh train")
    names = ("import-base", "fastpitch")
    until = ("--purpose", "optimise", "--until", SEASON)
    runs.stack.must(APPROVER, "access", "grant", ENGINEER, "--dataset", "digits", *until)
    for name in names:
        runs.stack.must(ENGINEER, "recipe", "submit", str(runs.stage.source / "recipes" / name))
    for reviewer in REVIEWERS:
        for entry in runs.stack.must(reviewer, "recipe", "list").lines:
            if entry["name"] in names:
                runs.stack.must(reviewer, "recipe", "approve", str(entry["name"]), str(entry["digest"]))
    return runs


def importing(runs: Runs, file: Path, *more: str) -> tuple[str, ...]:
    recipes = str(runs.stage.source / "recipes")
    return ("recipe", "import-base", str(file), *PAPERS, *AGREED, "--recipes", recipes, *more)


AGREED = ("--agreement", "dsa-2026-0001")


def test_a_published_checkpoint_becomes_a_base_that_a_training_starts_from(
    approved: Runs, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"model": "fast_pitch"}')
    file = published(tmp_path / "model.pth")
    told = approved.stack.must(ENGINEER, *importing(approved, file, "--config", str(config))).lines
    settled = [line for line in told if line.get("state") == "settled"][-1]
    assert settled["model"].startswith("import-base v"), settled
    base = f"import-base@{settled['model'].rpartition('v')[2]}"
    (imported,) = [
        run for run in approved.stack.must(ENGINEER, "runs", "list").lines if run["model"] == settled["model"]
    ]
    shown = approved.show(str(imported["id"]))
    assert shown["plan"]["subjects"] == [] and shown["metrics"]["tensors"][-1]["value"] > 50
    assert [item["path"] for item in shown["artifacts"]] == ["base.safetensors"]
    assert {one["kind"] for one in shown["credentials"]} == {"artifact"}
    approved.leaves_nothing(shown)

    asked = approved.stage.config("fastpitch", purpose="optimise", inputs={"base": base}, parameters=TINY)
    recipes = ("--recipes", str(approved.stage.source / "recipes"))
    run = str(approved.stack.must(ENGINEER, "run", str(asked), *recipes, "--detach").last["run"])
    tuned = approved.settled(run)
    assert tuned["outcome"] == "finished", tuned["failure"]
    lineage = approved.stack.must(AUDITOR, "audit", "lineage", "--run", run).last
    assert base in str(lineage) and "spk_" in str(lineage)
    approved.leaves_nothing(tuned)

    card = approved.stack.must(ENGINEER, "models", "show", base).text
    assert "MPL-2.0" in card and "https://example.org/fastpitch.pth" in card

    again = approved.stage.config("fastpitch", purpose="train", inputs={"base": base}, parameters=TINY)
    refused = approved.stack.ask(ENGINEER, "run", str(again), *recipes)
    assert refused.code == 3 and refused.reasons() == ["input.fine_tuning"]


def test_a_malicious_pickle_is_refused_and_makes_nothing(approved: Runs, tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    file = published(tmp_path / "model.pth", mark)
    before = approved.stack.must(ENGINEER, "models", "list").lines
    answer = approved.stack.ask(ENGINEER, *importing(approved, file))
    assert answer.code == 4 and "base.pickle" in answer.text and "Traceback" not in answer.text
    assert "weights alone" in answer.text  # what to do about it
    newest = max(approved.stack.must(ENGINEER, "runs", "list").lines, key=lambda run: str(run["asked_at"]))
    shown = approved.show(str(newest["id"]))
    assert (shown["outcome"], shown["failure"], shown["artifacts"]) == ("failed", "base.pickle", [])
    assert approved.stack.must(ENGINEER, "models", "list").lines == before
    assert not mark.exists()
    approved.leaves_nothing(shown)


def test_a_file_that_was_cut_short_is_told_as_one(approved: Runs, tmp_path: Path) -> None:
    file = published(tmp_path / "model.pth")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    answer = approved.stack.ask(ENGINEER, *importing(approved, file))
    assert answer.code == 4 and "base.malformed" in answer.text and "Traceback" not in answer.text
