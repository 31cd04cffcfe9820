"""The mutation table holds, and whatever judges it would notice if it did not."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace

import pytest

from tests.architecture.house import ROOT
from tests.mutations import __main__ as program
from tests.mutations.case import OPENED, Case, attempt, judge
from tests.mutations.checks import AEAD, SHARD_DIGEST, TAG_PIN
from tests.mutations.corpora import Corpus, prepared, read, start, verify
from tests.mutations.removal import Check, Edit, StaleEdit, check, removed
from tests.mutations.table import CASES, GROUPS

BY_TITLE = {case.title: case for case in CASES}
SWAP = BY_TITLE["record: swapped within a subject"]
# What no one can see without keys: lies sealed into the index or the wraps, and what a key server answers.
WITH_KEYS = (
    "index: signed", "keys: signed", "keys: a person", "keys: the index", "keys: asked",
    "record: key of", "record: storage",
)  # fmt: skip
ON_DISK = [case for case in CASES if case.open in (read, start) and not case.title.startswith(WITH_KEYS)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_a_mutation_is_caught_and_no_longer_so_without_its_check(case: Case, tmp_path) -> None:
    row = judge(case, tmp_path)
    assert row.error == case.expected
    assert row.caught and row.red_without_check, row


@pytest.mark.parametrize("case", ON_DISK, ids=lambda case: case.title)
def test_verify_names_it_without_a_key(case: Case, tmp_path) -> None:
    assert attempt(replace(case, open=verify), tmp_path / "changed", damage=True) != OPENED
    assert attempt(replace(case, open=verify), tmp_path / "sound", damage=False) == OPENED


def test_the_table_is_as_large_as_it_is_said_to_be() -> None:
    assert len(BY_TITLE) == len(CASES) >= 60
    assert len(ON_DISK) >= 60
    assert {case.group for case in CASES} == set(GROUPS)


def test_a_checks_name_stands_for_one_check() -> None:
    assert len({case.check.name for case in CASES}) == len({case.check.edits for case in CASES})


@pytest.mark.parametrize("page", ["guide.md", "threat-model.md"])
def test_the_documentation_counts_them_rightly(page) -> None:
    said = re.findall(r"(\d+) (?:ways|mutations|of \d+ mutations)", (ROOT / "docs" / page).read_text())
    assert set(said) == {str(len(CASES))}
    assert f"({len({case.check.name for case in CASES})} checks)" in (ROOT / "docs" / "guide.md").read_text()


# The judge itself


def test_a_check_that_does_not_matter_is_no_proof(tmp_path) -> None:
    row = judge(replace(SWAP, check=SHARD_DIGEST), tmp_path)
    assert (row.caught, row.red_without_check, row.holds) == (True, False, False)


def test_a_mutation_that_changes_nothing_is_not_caught(tmp_path) -> None:
    row = judge(replace(SWAP, damage=lambda _: None), tmp_path)
    assert (row.caught, row.error) == (False, OPENED)


def test_another_error_than_the_tables_is_not_caught(tmp_path) -> None:
    assert not judge(replace(SWAP, code="seal.forged"), tmp_path).caught


def test_an_edit_that_breaks_a_sound_corpus_is_no_proof(tmp_path) -> None:
    clumsy = check(
        "tag pin", "sealing.records:open_record", "if sealed[-TAG_BYTES:] != row.tag:", "if None.x:"
    )
    row = judge(replace(SWAP, check=clumsy), tmp_path)
    assert not row.red_without_check
    assert row.without_check == "the edit breaks more: AttributeError"


@pytest.mark.parametrize(
    ("place", "held"),
    [
        ("sandbox.sealing.records:open_record", "if sealed[-99:] != row.tag:"),
        ("sandbox.sealing.records:open_record", "raise"),
        ("sandbox.sealing.records:open_records", "raise"),
    ],
    ids=["text not there", "text there more than once", "function not there"],
)
def test_an_edit_that_no_longer_fits_is_an_error(place, held) -> None:
    with pytest.raises(StaleEdit), removed(Check("stale", (Edit(place, held),))):
        pytest.fail("nothing was removed")


def test_a_check_is_back_afterwards(tmp_path) -> None:
    with pytest.raises(RuntimeError), removed(TAG_PIN):
        raise RuntimeError
    assert attempt(SWAP, tmp_path / "changed", damage=True) == SWAP.expected


def test_without_authentication_any_bytes_decrypt(tmp_path) -> None:
    """What stands in for GCM is the same cipher: sound records come back, altered ones come back altered."""
    case = BY_TITLE["record: ciphertext bit"]

    def texts(corpus: Corpus) -> list[bytes]:
        return [record.flac for record in corpus.open().stream()]

    with removed(AEAD):
        corpus = prepared(tmp_path)
        sound = texts(corpus)
        case.damage(corpus)
        altered = texts(corpus)
    assert sound[0] != altered[0]
    assert sound[1:] == altered[1:]


# The program


def run(monkeypatch, tmp_path, *words: str) -> tuple[int, list[dict[str, object]]]:
    out = tmp_path / "made" / "mutations.json"
    monkeypatch.setattr(sys, "argv", ["mutations", "--out", str(out), *words])
    return program.main(), json.loads(out.read_text())


def test_the_program_writes_one_row_a_case(monkeypatch, tmp_path, capsys) -> None:
    code, rows = run(monkeypatch, tmp_path, "--only", "record: swapped within a subject")
    assert code == 0
    assert [row["case"] for row in rows] == [
        "record: swapped within a subject",
        "record: swapped within a subject, verified",
    ]
    assert {"case", "caught", "error", "red_without_check"} <= set(rows[0])
    assert "2 of 2 mutations caught; 2 no longer so" in capsys.readouterr().out


@pytest.mark.parametrize(
    "bad",
    [replace(SWAP, damage=lambda _: None), replace(SWAP, check=SHARD_DIGEST)],
    ids=["one is not caught", "a check is not missed"],
)
def test_the_program_answers_1_when_a_row_does_not_hold(monkeypatch, tmp_path, bad) -> None:
    monkeypatch.setattr(program, "CASES", [SWAP, bad])
    code, rows = run(monkeypatch, tmp_path)
    assert (code, len(rows)) == (1, 2)


def test_no_case_is_no_success(monkeypatch, tmp_path) -> None:
    assert run(monkeypatch, tmp_path, "--only", "nothing of that name") == (1, [])
