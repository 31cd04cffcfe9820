"""``sandbox policy test``: a table of cases at the terminal."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Sandbox
from tests.policy.world import ROOT

AGREEMENT = str(ROOT / "configs/agreements/demo.yaml")
CASES = ROOT / "configs/policy-tests/demo.yaml"


def wrong(folder: Path) -> str:
    """The shipped table with one expectation that does not hold, on line 34 or so."""
    text = CASES.read_text()
    assert "expect: [person.training_expired]" in text
    file = folder / "wrong.yaml"
    file.write_text(text.replace("expect: [person.training_expired]", "expect: permitted", 1))
    return str(file)


def test_the_shipped_table_is_shown_case_by_case(sandbox: Sandbox) -> None:
    said = sandbox("policy", "test", str(CASES), "--agreement", AGREEMENT)
    assert said.code == 0, said.err
    assert "25 of 25 cases as expected under dsa-2026-0001 v1" in said.out and "✘" not in said.out
    assert "A trained engineer with access trains on people who consented" in said.out
    assert "purpose.not_for_dataset, consent.scope_missing" in said.out


def test_a_case_that_comes_out_otherwise_is_exit_code_6_and_says_why(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    said = sandbox("policy", "test", wrong(tmp_path), "--agreement", AGREEMENT)
    assert said.code == 6
    assert "person.training_expired; expected permitted" in said.out
    assert "person.training_expired: eng.li: data-security ended 2026-11-30T00:00:00Z" in said.out
    assert "24 of 25 cases as expected" in said.out


def test_programs_get_one_object_a_case(tmp_path: Path, sandbox: Sandbox) -> None:
    said = sandbox("policy", "test", wrong(tmp_path), "--agreement", AGREEMENT, "--json")
    found = [json.loads(line) for line in said.out.splitlines()]
    assert said.code == 6 and len(found) == 25
    (differs,) = [one for one in found if not one["as_expected"]]
    assert differs == {
        "case": "The engineer's security training ended the day before",
        "line": differs["line"],
        "as_expected": False,
        "expected": [],
        "permitted": False,
        "codes": ["person.training_expired"],
    }
    line = Path(wrong(tmp_path)).read_text().splitlines()[differs["line"] - 1]
    assert "security training ended the day before" in line


def test_brackets_in_the_name_of_a_case_are_shown(tmp_path: Path, sandbox: Sandbox) -> None:
    file = tmp_path / "named.yaml"
    file.write_text(CASES.read_text().replace("case: Ben withdrew", "case: (4.1) [red] Ben withdrew", 1))
    assert "(4.1) [red] Ben withdrew" in sandbox("policy", "test", str(file), "--agreement", AGREEMENT).out


def test_a_table_with_a_typo_is_refused_with_its_line(tmp_path: Path, sandbox: Sandbox) -> None:
    file = tmp_path / "typo.yaml"
    file.write_text(CASES.read_text().replace("training_until:", "training_untill:", 1))
    said = sandbox("policy", "test", str(file), "--agreement", AGREEMENT)
    assert said.code == 2 and "training_untill: no such key" in said.err and "typo.yaml:" in said.err
