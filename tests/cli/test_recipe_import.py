"""`sandbox recipe import-base`: checked here, sent once, run there, told in one line when it became none."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import httpx
import pytest

from sandbox.cli.recipe_files import files
from sandbox.runs import recipe_digest
from tests.cli.conftest import Gate, Said, Sandbox

DATA = b"a published checkpoint" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()
ROOT = Path(__file__).parents[2]
ADMITTED = (
    "state",
    '{"state": "admitted", "grant": "g-91ac22", "purpose": "optimise", "subjects": [], "privacy": null}',
)
PAPERS = {
    "--model": "xtts",
    "--licence": "LicenseRef-CPML",
    "--source": "https://example.org/xtts.pth",
    "--agreement": "dsa-2026-0001",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.pth"
    path.write_bytes(DATA)
    return path


def settled(**said: object) -> tuple[str, str]:
    return "state", json.dumps({"state": "settled", "statement": "ab", "log_entry": 3, **said})


@pytest.fixture
def admitting(gate: Gate) -> Gate:
    gate.answers["POST", "/v1/recipes"] = httpx.Response(201, json={"name": "import-base"})
    gate.answers["POST", "/v1/bases"] = lambda asked: httpx.Response(
        200, json={**json.loads(asked.content), "kept": False}
    )
    gate.answers["POST", f"/v1/bases/{DIGEST}"] = httpx.Response(200, json={"sha256": DIGEST, "kept": True})
    gate.answers["POST", "/v1/runs"] = httpx.Response(200, json={"run": "r-7f3k9w", "grant": "g-91ac22"})
    gate.events("r-7f3k9w", ADMITTED, settled(outcome="finished", model="import-base v1"))
    return gate


def bring(sandbox: Sandbox, file: Path, **changes: str) -> Said:
    words = {**PAPERS, **{f"--{name}": value for name, value in changes.items()}}
    pairs = [word for pair in words.items() for word in pair]
    return sandbox("recipe", "import-base", str(file), *pairs, "--recipes", str(ROOT / "recipes"))


def posted(gate: Gate, path: str) -> list[httpx.Request]:
    return [asked for asked in gate.asked if (asked.method, asked.url.path) == ("POST", path)]


def test_a_file_is_announced_sent_and_made_into_a_base(sandbox: Sandbox, admitting: Gate, file: Path) -> None:
    said = bring(sandbox, file)
    assert said.code == 0, said.err
    assert "import-base v1" in said.out
    (announced,) = posted(admitting, "/v1/bases")
    assert json.loads(announced.content) == {"sha256": DIGEST, "size": len(DATA)}
    (sent,) = posted(admitting, f"/v1/bases/{DIGEST}")
    assert sent.headers["content-type"] == "application/octet-stream"
    (ran,) = posted(admitting, "/v1/runs")
    asked = json.loads(ran.content)["request"]
    assert asked["inputs"] == {"file": f"sha256:{DIGEST}"} and asked["dataset"] is None
    assert (asked["purpose"], asked["agreement"]) == ("optimise", "dsa-2026-0001")
    assert asked["recipe_digest"] == recipe_digest(files(ROOT / "recipes/import-base"))
    memory = asked["compute"]["memory_bytes"]
    assert memory % (1 << 20) == 0 and memory > (4 << 30) + 8 * len(DATA)
    assert asked["parameters"] == {
        "model": "xtts",
        "licence": "LicenseRef-CPML",
        "source": "https://example.org/xtts.pth",
    }


def test_a_file_that_lies_there_is_not_sent_again(sandbox: Sandbox, admitting: Gate, file: Path) -> None:
    admitting.answers["POST", "/v1/bases"] = httpx.Response(200, json={"sha256": DIGEST, "kept": True})
    assert bring(sandbox, file).code == 0
    assert posted(admitting, f"/v1/bases/{DIGEST}") == [] and len(posted(admitting, "/v1/runs")) == 1


def test_its_configuration_comes_along(sandbox: Sandbox, admitting: Gate, file: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text("{}")
    digest = hashlib.sha256(b"{}").hexdigest()
    admitting.answers["POST", f"/v1/bases/{digest}"] = httpx.Response(200, json={})
    assert bring(sandbox, file, config=str(config)).code == 0
    asked = json.loads(posted(admitting, "/v1/runs")[0].content)["request"]
    assert asked["inputs"] == {"file": f"sha256:{DIGEST}", "config": f"sha256:{digest}"}


@pytest.mark.parametrize(
    ("failure", "mend"),
    [
        ("base.pickle", "weights alone"),
        ("base.malformed", "download it again"),
        ("base.empty", "it holds no weights"),
        ("base.config", "config.json"),
    ],
)
def test_a_file_that_is_no_base_is_told_with_what_would_mend_it(
    sandbox: Sandbox, admitting: Gate, file: Path, failure: str, mend: str
) -> None:
    admitting.events("r-7f3k9w", ADMITTED, settled(outcome="failed", failure=failure))
    said = bring(sandbox, file)
    assert said.code == 4 and failure in said.err and mend in said.err and "Traceback" not in said.err


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"licence": "do what you want"}, "base.licence"),
        ({"licence": ""}, "base.licence"),
        ({"source": "model.pth"}, "base.source"),
        ({"source": "http://example.org/model.pth"}, "base.source"),
        ({"model": "gpt"}, "usage.invalid"),
    ],
)
def test_bad_papers_are_refused_before_anything_is_sent(
    sandbox: Sandbox, admitting: Gate, file: Path, changes: dict[str, str], code: str
) -> None:
    said = bring(sandbox, file, **changes)
    assert said.code == 2 and admitting.asked == []
    assert code in said.err or code == "usage.invalid"


@pytest.mark.parametrize(
    "licence", ["MPL-2.0", "CC-BY-NC-ND-4.0", "(MIT OR Apache-2.0)", "GPL-2.0-only WITH x-1"]
)
def test_an_spdx_expression_is_taken(sandbox: Sandbox, admitting: Gate, file: Path, licence: str) -> None:
    assert bring(sandbox, file, licence=licence).code == 0


def test_a_file_that_is_not_there_is_told(sandbox: Sandbox, admitting: Gate, tmp_path: Path) -> None:
    said = bring(sandbox, tmp_path / "nothing.pth")
    assert said.code == 2 and "cannot be read" in said.err and admitting.asked == []


def test_what_the_gate_does_not_take_is_told_in_its_words(
    sandbox: Sandbox, admitting: Gate, file: Path
) -> None:
    problem = {
        "code": "base.too_large",
        "detail": "a published file has at most 10 bytes here",
        "status": 400,
    }
    admitting.answers["POST", "/v1/bases"] = httpx.Response(400, json=problem)
    said = bring(sandbox, file)
    assert said.code == 2 and "base.too_large" in said.err
    assert posted(admitting, f"/v1/bases/{DIGEST}") == [] and posted(admitting, "/v1/runs") == []
