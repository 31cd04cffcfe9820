"""Reviewers at the terminal: a recipe with what changed in it, the image with what it was made from."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.cli.diff_view import Line, unified, visible
from sandbox.runs import recipe_digest
from sandbox.statements import sha256
from tests.cli.conftest import Gate, Sandbox

OLD = {"recipe.yaml": b"name: digits\n", "recipe.py": b"def main(run):\n    run.log(1)\n"}
NEW = {**OLD, "recipe.py": b"def main(run):\n    run.log(2)\n", "more.py": b"x = 1\n"}
BEFORE, DIGEST = recipe_digest(OLD), recipe_digest(NEW)
IMAGE = "3" * 64


def shown(**changes: Any) -> dict[str, Any]:
    return {
        "name": "digits",
        "digest": DIGEST,
        "submitted_by": "eng.li",
        "at": "2026-11-24T12:00:00Z",
        "purposes": ["train"],
        "approved_by": ["rev.chen"],
        "approved_for": {"rev.chen": ["train"]},
        "revoked_by": [],
        "before": BEFORE,
        "changed": [{"path": "recipe.py", "added": 1, "removed": 1}],
        "history": [
            {
                "seq": 3,
                "at": "2026-11-24T12:30:00Z",
                "by": "rev.chen",
                "status": "approved",
                "reason": "",
                "purposes": ["train"],
            }
        ],
        **changes,
    }


def held(files: dict[str, bytes]) -> httpx.Response:
    return httpx.Response(
        200, json={"files": {path: base64.b64encode(data).decode() for path, data in files.items()}}
    )


@pytest.fixture(autouse=True)
def shelf(gate: Gate) -> None:
    listed = [{"name": "digits", "digest": digest, "approved_by": []} for digest in (BEFORE, DIGEST)]
    gate.answers |= {
        ("GET", "/v1/recipes"): httpx.Response(200, json={"items": listed}),
        ("GET", f"/v1/recipes/{DIGEST}/review"): httpx.Response(200, json=shown()),
        ("GET", f"/v1/recipes/{DIGEST}/files"): held(NEW),
        ("GET", f"/v1/recipes/{BEFORE}/files"): held(OLD),
    }


def body(gate: Gate) -> dict[str, Any]:
    return dict(json.loads(gate.asked[-1].content))


@pytest.mark.parametrize("which", ["digits", DIGEST, f"sha256:{DIGEST}", DIGEST[:8], f"{DIGEST[:12]}…"])
def test_a_recipe_is_shown_against_the_version_approved_last(sandbox: Sandbox, which: str) -> None:
    said = sandbox("recipe", "review", which)
    assert said.code == 0, said.err
    assert "submitted by eng.li" in said.out and "rev.chen approved for train" in said.out
    assert f"against sha256:{BEFORE}, approved last" in said.out
    assert "--- a/recipe.py\n+++ b/recipe.py" in said.out
    assert "\n-    run.log(1)\n+    run.log(2)\n" in said.out
    assert "--- /dev/null\n+++ b/more.py\n" in said.out and "recipe.yaml" not in said.out
    assert f"sandbox recipe approve digits sha256:{DIGEST} --purpose train" in said.out


def test_the_whole_recipe_may_be_asked_for_and_is_shown_where_there_was_none(
    gate: Gate, sandbox: Sandbox
) -> None:
    assert (
        "+++ b/recipe.yaml\n@@ -0,0 +1 @@\n+name: digits\n"
        in sandbox("recipe", "review", "digits", "--whole").out
    )
    gate.answers["GET", f"/v1/recipes/{DIGEST}/review"] = httpx.Response(200, json=shown(before=""))
    assert "every file in full" in sandbox("recipe", "review", "digits").out


def test_a_review_is_data_for_programs(sandbox: Sandbox) -> None:
    found = json.loads(sandbox("recipe", "review", "digits", "--json").out)
    assert found["before"] == BEFORE and "+    run.log(2)" in found["diff"]
    assert {one["path"]: one["sha256"] for one in found["files"]} == {p: sha256(d) for p, d in NEW.items()}


def test_other_files_than_the_digest_names_are_not_shown(gate: Gate, sandbox: Sandbox) -> None:
    gate.answers["GET", f"/v1/recipes/{DIGEST}/files"] = held({**NEW, "more.py": b"x = 2\n"})
    said = sandbox("recipe", "review", "digits")
    assert said.code == 6 and "recipe.changed" in said.err and "run.log" not in said.out


@pytest.mark.parametrize(("which", "code"), [("sing", 3), ("abc", 3), ("0" * 64, 3)])
def test_a_recipe_that_nobody_submitted_is_unknown(sandbox: Sandbox, which: str, code: int) -> None:
    said = sandbox("recipe", "review", which)
    assert said.code == code and "recipe.unknown" in said.err


def test_what_a_terminal_would_hide_is_written_out() -> None:
    tricks = b"ok = 1  # \xe2\x80\xae\xe2\x81\xa6 evil\r\nred = '\x1b[31m'\nzero = '\xe2\x80\x8b'\n"
    lines = [line.text for line in unified({}, {"recipe.py": tricks})]
    assert lines[3:] == ["+ok = 1  # \\u202e\\u2066 evil\\x0d", "+red = '\\x1b[31m'", "+zero = '\\u200b'"]
    assert visible("\tünicode 语音 is text") == "\tünicode 语音 is text"


def test_a_line_that_looks_like_the_diffs_own_is_none() -> None:
    found = list(unified({"f": b"a\n"}, {"f": b"++ b/other\n-- x\n"}))
    assert Line("added", "+++ b/other") in found and Line("added", "+-- x") in found
    assert [line.text for line in found if line.kind == "file"] == ["--- a/f", "+++ b/f"]


def test_a_missing_last_newline_and_a_binary_file_are_differences() -> None:
    assert [line.text for line in unified({"f": b"a\n"}, {"f": b"a"})][-1] == "+a  (no newline at the end)"
    last = list(unified({"f": b"\xff"}, {"f": b"\xfe\xff"}))[-1]
    assert last == Line(
        "note",
        f"no text: 1 bytes, sha256 {sha256(bytes([255]))} -> 2 bytes, sha256 {sha256(bytes([254, 255]))}",
    )
    assert list(unified({"f": b"a"}, {"f": b"a"})) == []


def test_an_approval_names_its_purposes(gate: Gate, sandbox: Sandbox) -> None:
    answer = shown(approved_for={"rev.chen": ["evaluate", "train"]})
    gate.answers["POST", f"/v1/recipes/{DIGEST}/approve"] = httpx.Response(200, json=answer)
    said = sandbox("recipe", "approve", "digits", f"sha256:{DIGEST}", "--purpose", "train")
    assert said.code == 0 and said.out.rstrip().endswith("for train")
    assert body(gate) == {"name": "digits", "purposes": ["train"]}
    said = sandbox("recipe", "approve", "digits", DIGEST)
    assert body(gate) == {"name": "digits"} and "every purpose of its card" in said.out
    assert sandbox("recipe", "approve", "digits", DIGEST, "--purpose", "sing").code == 2


def test_a_recipe_is_revoked_with_a_reason(gate: Gate, sandbox: Sandbox) -> None:
    gate.answers["POST", f"/v1/recipes/{DIGEST}/revoke"] = httpx.Response(
        200, json=shown(revoked_by=["rev.chen"])
    )
    said = sandbox("recipe", "revoke", DIGEST, "--reason", "it hums names")
    assert said.code == 0 and f"revoked    digits sha256:{DIGEST}" in said.out
    assert body(gate) == {"reason": "it hums names"}
    assert sandbox("recipe", "revoke", DIGEST).code == 2


def image(**changes: Any) -> dict[str, Any]:
    return {
        "id": IMAGE,
        "digest": "7" * 64,
        "installed_by": "root",
        "at": "2026-11-24T12:00:00Z",
        "installed": True,
        "approved_by": [],
        "revoked_by": [],
        "inputs": {"docker/runner.lock": sha256(b"lock\n"), "trust.json": "a" * 64},
        "before": "5" * 64,
        "changed": ["docker/runner.lock"],
        "history": [],
        **changes,
    }


@pytest.fixture
def images(gate: Gate) -> None:
    listed = [image(id="5" * 64, installed=False, approved_by=["rev.chen"]), image()]
    gate.answers |= {
        ("GET", "/v1/images"): httpx.Response(200, json={"items": listed}),
        ("GET", f"/v1/images/{IMAGE}"): httpx.Response(200, json=image()),
        ("POST", f"/v1/images/{IMAGE}/approve"): httpx.Response(200, json=image(approved_by=["rev.chen"])),
        ("POST", f"/v1/images/{IMAGE}/revoke"): httpx.Response(200, json=image(revoked_by=["rev.chen"])),
    }


def test_the_installed_image_is_shown_with_what_changed(images: None, sandbox: Sandbox) -> None:
    said = sandbox("image", "review")
    assert said.code == 0 and f"image {IMAGE} (installed)" in said.out
    assert "555555555555…, approved last:\n  docker/runner.lock differs\n" in said.out
    assert f"sandbox image approve {IMAGE}" in said.out
    assert "333333333333" in sandbox("image", "list").out


def test_an_image_is_compared_with_sources_that_the_reviewer_trusts(
    images: None, sandbox: Sandbox, tmp_path: Path
) -> None:
    lock = tmp_path / "docker" / "runner.lock"
    lock.parent.mkdir()
    lock.write_bytes(b"lock\n")
    said = sandbox("image", "review", "--against", str(tmp_path))
    assert said.code == 0 and "every file is the one in" in said.out
    lock.write_bytes(b"other\n")
    said = sandbox("image", "review", "--against", str(tmp_path))
    assert said.code == 6 and "docker/runner.lock is not the one in" in said.out
    lock.unlink()
    assert json.loads(sandbox("image", "review", "--against", str(tmp_path), "--json").out)["differ"] == [
        "docker/runner.lock"
    ]


def test_an_image_is_approved_and_revoked_by_the_beginning_of_its_id(
    images: None, gate: Gate, sandbox: Sandbox
) -> None:
    assert f"approved   image {IMAGE}" in sandbox("image", "approve", IMAGE[:12]).out
    assert f"revoked    image {IMAGE}" in sandbox("image", "revoke", IMAGE, "--reason", "CVE-2026-1234").out
    assert body(gate) == {"reason": "CVE-2026-1234"}
    assert sandbox("image", "approve", "9" * 12).code == 3
