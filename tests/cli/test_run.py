"""`sandbox run`: validated here, decided there, shown as it happens, judged by its exit code."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import httpx
import pytest

from sandbox.cli.recipe_files import files
from sandbox.runs import recipe_digest
from tests.cli.conftest import Gate, Sandbox

RUN_FILE = """
recipe: probe
agreement: dsa-2026-0001
dataset: digits
purpose: train
subjects: all
privacy: none
compute: {cpus: 1, memory: 1GiB, gpus: 0, time_limit: 5m}
"""
STORY = (
    (
        "state",
        (
            '{"state": "admitted", "grant": "g-91ac22", "agreement": "dsa-2026-0001", "agreement_version": 3,'
            ' "purpose": "train", "subjects": 1, "privacy": null}'
        ),
    ),
    ("state", '{"state": "started", "engine": "podman", "container": "9a1c04ffff", "properties": 23}'),
    ("state", '{"state": "unlocked", "subjects": 1, "seconds": 0.41}'),
    ("progress", '{"step": 1070, "total": 1500, "rate": 9.8}'),
    ("metric", '{"name": "loss", "step": 1070, "value": 0.21}'),
    ("artifact", '{"path": "model-1500.safetensors", "size": 4900000}'),
)
FINISHED = (
    "state",
    '{"state": "settled", "outcome": "finished", "model": "digits v1", "statement": "ab", "log_entry": 1284}',
)
FAILED = ("state", '{"state": "settled", "outcome": "failed", "failure": "recipe.failed"}')


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    recipe = tmp_path / "recipes" / "probe"
    recipe.mkdir(parents=True)
    (recipe / "recipe.yaml").write_text("name: probe\n")
    (recipe / "recipe.py").write_text("def main(run): ...\n")
    file = tmp_path / "configs" / "runs" / "probe.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(RUN_FILE)
    return file


@pytest.fixture
def admitting(gate: Gate) -> Gate:
    gate.answers["POST", "/v1/recipes"] = httpx.Response(201, json={"name": "probe"})
    gate.answers["POST", "/v1/runs"] = httpx.Response(201, json={"run": "r-7f3k9w", "grant": "g-91ac22"})
    gate.events("r-7f3k9w", *STORY, FINISHED)
    return gate


def test_a_finished_run_tells_its_story_and_exits_0(
    admitting: Gate, sandbox: Sandbox, run_file: Path
) -> None:
    said = sandbox("run", str(run_file))
    assert said.code == 0, said.err
    assert [line.split()[1] for line in said.out.splitlines()] == [
        "admitted",
        "isolated",
        "unlocked",
        "training",
        "sealed",
        "settled",
    ]
    assert "run r-7f3k9w, grant g-91ac22 · agreement dsa-2026-0001 v3 · train · 1 person · no DP" in said.out
    assert "podman 9a1c04… · 23 of 23 properties read back from the kernel" in said.out
    assert "1 key in 0.4 s · credential proved dead · Vault door closed" in said.out
    assert "model digits v1 · statement signed · log entry 1 284" in said.out


def test_the_recipe_is_submitted_once_by_the_digest_of_its_bytes(
    admitting: Gate, sandbox: Sandbox, run_file: Path
) -> None:
    folder = run_file.parents[2] / "recipes" / "probe"
    digest = recipe_digest(files(folder))
    sandbox("run", str(run_file))
    sent = next(json.loads(r.content) for r in admitting.asked if r.url.path == "/v1/recipes")
    assert {path: base64.b64decode(body) for path, body in sent["files"].items()} == files(folder)
    admitting.answers["GET", f"/v1/recipes/{digest}"] = httpx.Response(200, json={})
    admitting.asked.clear()
    sandbox("run", str(run_file))
    assert ("POST", "/v1/recipes") not in [(r.method, r.url.path) for r in admitting.asked]
    asked = next(json.loads(r.content) for r in admitting.asked if r.method == "POST")
    assert asked["request"]["recipe_digest"] == digest and asked["request"]["subjects"] is None


def test_a_failed_run_exits_4_and_says_why(admitting: Gate, sandbox: Sandbox, run_file: Path) -> None:
    admitting.events("r-7f3k9w", *STORY[:3], FAILED)
    said = sandbox("run", str(run_file))
    assert said.code == 4
    assert "run r-7f3k9w failed: recipe.failed" in said.err


def test_json_is_one_event_a_line(admitting: Gate, sandbox: Sandbox, run_file: Path) -> None:
    said = sandbox("run", str(run_file), "--json")
    events = [json.loads(line) for line in said.out.splitlines()]
    assert [event["event"] for event in events] == ["state"] * 3 + ["progress", "metric", "artifact", "state"]


def test_detach_returns_as_soon_as_it_is_admitted(admitting: Gate, sandbox: Sandbox, run_file: Path) -> None:
    said = sandbox("run", str(run_file), "--detach")
    assert said.code == 0 and "sandbox runs watch r-7f3k9w" in said.out
    assert not any(r.url.path.endswith("/events") for r in admitting.asked)


def test_a_dry_run_starts_nothing(admitting: Gate, sandbox: Sandbox, run_file: Path) -> None:
    admitting.answers["POST", "/v1/runs"] = httpx.Response(
        200, json={"decision": "d-55e1aa", "permitted": True}
    )
    said = sandbox("run", str(run_file), "--dry-run")
    assert said.code == 0 and "d-55e1aa" in said.out
    assert json.loads(admitting.asked[-1].content)["dry_run"] is True


def test_an_interrupt_without_a_terminal_leaves_the_run_and_says_so(
    admitting: Gate, sandbox: Sandbox, run_file: Path
) -> None:
    def interrupt(request: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    admitting.answers["GET", "/v1/runs/r-7f3k9w/events"] = interrupt
    said = sandbox("run", str(run_file))
    assert said.code == 130 and "sandbox runs watch r-7f3k9w" in said.err
    assert not any(r.url.path.endswith("/kill") for r in admitting.asked)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("privacy: some", "privacy"),
        ("colour: red", "colour"),
        ("purpose: gossip", "purpose"),
        ("subjects: nobody", "subjects"),
    ],
)
def test_a_fault_in_the_file_is_named_before_anybody_is_asked(
    change: str, says: str, gate: Gate, sandbox: Sandbox, run_file: Path
) -> None:
    key, _, _ = change.partition(":")
    lines = [line for line in RUN_FILE.splitlines() if not line.startswith(f"{key}:")]
    run_file.write_text("\n".join([*lines, change, ""]))
    said = sandbox("run", str(run_file))
    assert said.code == 2 and says in said.err
    assert gate.asked == []


def test_a_link_in_a_recipe_is_refused(gate: Gate, sandbox: Sandbox, run_file: Path) -> None:
    (run_file.parents[2] / "recipes" / "probe" / "more.py").symlink_to("/etc/passwd")
    said = sandbox("run", str(run_file))
    assert said.code == 2 and "not a regular file" in said.err and gate.asked == []
