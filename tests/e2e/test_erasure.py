"""A person is forgotten while a run holds the voice; then a backup from before is restored, and brings nobody back."""

from __future__ import annotations

import base64
import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from sandbox.demo.attempts import AUDITOR, ENGINEER, STEWARD
from sandbox.demo.house import House
from sandbox.deployment import users
from sandbox.deployment.backup import drill
from sandbox.deployment.places import Places
from sandbox.deployment.settings import Settings
from tests.e2e.conftest import OPERATOR
from tests.e2e.running import Runs

GONE = "spk_e8d1"


def test_nobody_comes_back(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack, base = runs.stack, runs.stack.house.state.parent
    monkeypatch.chdir(tmp_path)  # certificates and the list are written beside the caller
    stack.must(OPERATOR, "backup", "key", str(tmp_path / "seal.key"))
    stack.must(OPERATOR, "backup", "make", str(tmp_path / "before"))
    slow = {"steps": 10_000, "sleep_ms": 100, "attempts": False}
    path = runs.stage.config("probe", dataset="voices", parameters=slow)
    recipes = str(runs.stage.source / "recipes")
    run = str(stack.must(ENGINEER, "run", str(path), "--recipes", recipes, "--detach").last["run"])
    runs.until(run, "training")

    stack.must(STEWARD, "erase", GONE, "--dataset", "voices")
    shown = runs.show(run)
    assert (shown["state"], shown["outcome"]) == ("settled", "killed")
    said = stack.must(AUDITOR, "audit", "certificate", f"erasure-{GONE}-voices.dsse.json").last
    assert said["holds"] and run in said["runs"] and set(said["receipts"]) == {"settled", "tainted"}
    runs.leaves_nothing(shown)

    asked = runs.stage.config("probe", dataset="voices", subjects=[GONE])
    refused = stack.ask(ENGINEER, "run", str(asked), "--recipes", recipes)
    assert refused.code == 3 and "subject.erased" in refused.reasons()

    drilled = stack.must(OPERATOR, "backup", "drill", "--erasures", "erasures.jsonl").last
    assert set(drilled["seconds"]) == {"make", "restore", "start", "check"} and drilled["files"] > 10

    there = House(base / "r", stack.house.work, Console(file=StringIO()))
    words = ["--seal-key", str(tmp_path / "seal.key"), "--erasures", "erasures.jsonl"]
    answer = there.ask(OPERATOR, "backup", "restore", str(tmp_path / "before"), *words)
    assert answer.code == 0, answer.text
    places = Places(there.state)
    newest = _newest(places)
    assert GONE in newest["subjects"]
    drill._start(stack.places, places, users.present(), Settings.read(places))
    assert not (places.custodian_private / "restored.json").exists()
    after = _newest(places)
    assert GONE in after["tombstones"] and after["version"] == newest["version"] + 1


def _newest(places: Places) -> dict[str, object]:
    """The newest manifest of ``voices``, as it lies there."""
    folder = places.sealed / "voices" / "manifests"
    newest = max(folder.glob("*.dsse.json"), key=lambda found: int(found.name.partition(".")[0]))
    payload = json.loads(base64.b64decode(json.loads(newest.read_bytes())["payload"]))
    return dict(payload["predicate"])
