"""``sandbox agreement diff``: what a new version allows more and less, in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox.statements import sha256
from tests.cli.conftest import Sandbox
from tests.policy.world import DEMO


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """The demo's terms, and a version 2 that follows them: one purpose more, one dataset less long, another title."""
    old, new = tmp_path / "v1.yaml", tmp_path / "v2.yaml"
    text = DEMO.decode()
    for before, after in (
        ("version: 1\n", f"version: 2\n  supersedes: sha256:{sha256(DEMO)}\n"),
        (
            "purposes: [train, optimise, test, evaluate]\n",
            "purposes: [train, optimise, test, evaluate, serve_custom_tts]\n",
        ),
        ("retention: {until: 2035-12-31", "retention: {until: 2030-12-31"),
        ("(demo)", "(second)"),
    ):
        assert before in text
        text = text.replace(before, after, 1)
    old.write_bytes(DEMO)
    new.write_text(text)
    return str(old), str(new)


def test_what_a_new_version_allows_is_said_in_words(files: tuple[str, str], sandbox: Sandbox) -> None:
    said = sandbox("agreement", "diff", *files)
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[0] == "dsa-2026-0001 v1 → dsa-2026-0001 v2: allows more 1, allows less 1, neither 3"
    assert "  datasets[digits].purposes  the dataset digits: allows the purpose serve_custom_tts" in said.out
    assert "the dataset digits: kept until: 2030-12-31T15:59:59Z, was 2035-12-31T15:59:59Z" in said.out
    more, less, neither = (
        said.out.index(f"\n{words} ") for words in ("allows more", "allows less", "neither")
    )
    assert more < said.out.index("serve_custom_tts") < less < said.out.index("kept until") < neither
    assert neither < said.out.index("the title: ")
    assert lines[-1] == "What allows more needs the signatures of both parties (V24)."


def test_what_only_narrows_is_said_to_need_party_a_alone(files: tuple[str, str], sandbox: Sandbox) -> None:
    new = Path(files[1])
    new.write_text(new.read_text().replace(", serve_custom_tts]", "]", 1))
    lines = sandbox("agreement", "diff", *files).out.splitlines()
    assert "allows more 0, allows less 1" in lines[0]
    assert lines[-1] == "It only narrows: Party A's signature alone will do (V24)."


def test_the_other_way_round_it_allows_less_and_does_not_follow(
    files: tuple[str, str], sandbox: Sandbox
) -> None:
    old, new = files
    said = sandbox("agreement", "diff", new, old)
    assert said.code == 0
    assert "no longer allows the purpose serve_custom_tts" in said.out
    last = "! it does not follow the old one: metadata takes version 3 and supersedes "
    assert said.out.splitlines()[-1] == last + sha256(Path(new).read_bytes())


def test_the_same_file_says_the_same(files: tuple[str, str], sandbox: Sandbox) -> None:
    said = sandbox("agreement", "diff", files[0], files[0])
    assert said.code == 0 and said.out.endswith("both say the same\n")


def test_programs_get_every_change_with_its_way(files: tuple[str, str], sandbox: Sandbox) -> None:
    found = json.loads(sandbox("agreement", "diff", *files, "--json").out)
    assert (found["follows"], found["widens"], found["narrows"], found["neither"]) == (True, 1, 1, 3)
    assert found["old"] == {"agreement": "dsa-2026-0001", "version": 1, "sha256": sha256(DEMO)}
    assert {
        "path": "datasets[digits].purposes",
        "old": None,
        "new": "serve_custom_tts",
        "effect": "widens",
        "words": "the dataset digits: allows the purpose serve_custom_tts",
    } in found["changes"]


def test_a_file_that_is_no_agreement_is_refused_with_its_line(
    tmp_path: Path, files: tuple[str, str], sandbox: Sandbox
) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text(DEMO.decode().replace("residency:", "residence:", 1))
    said = sandbox("agreement", "diff", files[0], str(broken))
    assert said.code == 2 and "broken.yaml:" in said.err and "residence: no such key" in said.err
