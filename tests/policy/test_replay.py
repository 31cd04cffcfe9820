"""A stored decision decided again: what was altered is noticed, whichever part of it, and also all parts together."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from sandbox.policy.decide import decide
from sandbox.policy.replay import replay
from tests.policy import cases

Row = dict[str, Any]


def stored(code: str = "") -> tuple[Row, Row]:
    """A decision as the gate stores it, and its entry of the log. ``code``: the refusal that it is."""
    asked, facts = cases.CASES[code]() if code else cases.run()
    found = decide(asked, facts)
    row = {
        "id": "d-234567",
        "permitted": found.permitted,
        "request": asked.to_json(),
        "facts": facts.to_json(),
        "reasons": [asdict(reason) for reason in found.reasons],
    }
    entry = {"kind": "decision", "decision": row["id"], **found.to_predicate()}
    entry["reasons"] = [reason.code for reason in found.reasons]
    return json.loads(json.dumps(row)), json.loads(json.dumps(entry))


@pytest.mark.parametrize("code", ["", *cases.CASES])
def test_what_was_decided_is_decided_again(code: str) -> None:
    found = replay(*stored(code))
    assert found.same and not found.other_rules and found.now == found.then
    assert set(found.now) == ({code} if code else set())


def permits(row: Row, entry: Row) -> None:
    row["permitted"], row["reasons"] = True, []


def another_reason(row: Row, entry: Row) -> None:
    row["reasons"][0]["code"] = "person.left"


def another_person(row: Row, entry: Row) -> None:
    row["reasons"][0]["about"] = "spk_zz"


def another_fact(row: Row, entry: Row) -> None:
    row["facts"]["person"]["party"] = "A"  # no rule looks at it


def another_fact_and_its_answer(row: Row, entry: Row) -> None:
    for consent in row["facts"]["consents"]:
        consent["status"] = "ConsentGiven"
    permits(row, entry)


def another_request(row: Row, entry: Row) -> None:
    row["request"]["recipe_digest"] = row["facts"]["recipe"]["digest"] = "e" * 64


def a_logged_answer(row: Row, entry: Row) -> None:
    entry["reasons"], entry["permitted"] = [], True


def an_added_incident(row: Row, entry: Row) -> None:
    row["reasons"].append({"code": "incident.open", "about": "all"})


def no_facts(row: Row, entry: Row) -> None:
    row["facts"] = {}


def no_request(row: Row, entry: Row) -> None:
    row["request"] = None


def no_reasons(row: Row, entry: Row) -> None:
    row["reasons"] = None


LOGGED = "the log tells of another answer: consent.withdrawn"
OTHER_FACTS = "its stored facts are not those that the log names"
RULES_SAY = "the rules say consent.withdrawn (spk_aa), stored is"

ALTERED: list[tuple[Callable[[Row, Row], None], list[str]]] = [
    (permits, [f"{RULES_SAY} permitted", LOGGED]),
    (another_reason, [f"{RULES_SAY} person.left (spk_aa)", LOGGED]),
    (another_person, [f"{RULES_SAY} consent.withdrawn (spk_zz)"]),
    (another_fact, [OTHER_FACTS]),
    (another_fact_and_its_answer, [OTHER_FACTS, LOGGED]),
    (another_request, [OTHER_FACTS]),
    (a_logged_answer, ["the log tells of another answer: permitted"]),
    (an_added_incident, [LOGGED]),
    (no_facts, ["its stored facts cannot be read: ValidationError", OTHER_FACTS]),
    (no_request, ["its stored facts cannot be read: StatementError", OTHER_FACTS]),
    (no_reasons, [f"{RULES_SAY} unreadable", LOGGED]),
]  # fmt: skip


@pytest.mark.parametrize(("alter", "faults"), ALTERED, ids=[alter.__name__ for alter, _ in ALTERED])
def test_what_was_altered_is_noticed(alter: Callable[[Row, Row], None], faults: list[str]) -> None:
    row, entry = stored("consent.withdrawn")
    before = copy.deepcopy((row, entry))
    alter(row, entry)
    assert (row, entry) != before
    found = replay(row, entry)
    assert not found.same and list(found.faults) == faults
    assert found.to_json()["same"] is False and found.to_json()["faults"] == faults


def test_a_permission_stored_as_refused_for_nothing_is_noticed() -> None:
    row, entry = stored()
    row["permitted"] = entry["permitted"] = False
    assert replay(row, entry).faults == ("it is stored as refused, without a reason",)


def test_what_the_log_does_not_tell_of_is_noticed() -> None:
    row, _ = stored()
    assert replay(row, None).faults == ("the log tells nothing of it",)


def test_an_open_incident_that_the_gate_added_is_no_difference() -> None:
    row, entry = stored()
    row["permitted"] = entry["permitted"] = False
    row["reasons"], entry["reasons"] = [{"code": "incident.open", "about": "all"}], ["incident.open"]
    assert replay(row, entry).same


def test_another_wording_is_the_same_answer_and_other_rules_are_said() -> None:
    row, entry = stored("consent.withdrawn")
    row["reasons"][0]["why"], entry["rules_digest"] = "worded otherwise", "0" * 64
    found = replay(row, entry)
    assert found.same and found.other_rules
