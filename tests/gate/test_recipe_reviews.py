"""Recipes under review: an approval is for exact bytes and named purposes, and one word takes it back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.errors import NotPermitted, Refused, Usage
from sandbox.gate.deciding.recipe_changes import LINES_MAX, changed_files
from sandbox.gate.gate import Gate
from sandbox.gate.ledger import log
from sandbox.policy.reviewed import FileChange
from sandbox.runs import recipe_digest
from tests.fakes.studio import STEWARD
from tests.gate.world import ENGINEER, HUM, LISTEN, OPERATOR, REVIEWERS, World, admit, request, sent

BOTH = {**HUM, "recipe.yaml": HUM["recipe.yaml"].replace(b"purposes: [train]", b"purposes: [train, test]")}
CHANGED = {**HUM, "recipe.py": b"def main(run): ...\n\nimport os\nos.abort()\n"}


def submit(gate: Gate, recipe: dict[str, bytes], by: str = ENGINEER) -> str:
    return str(gate.house.recipes.submit(sent(recipe), by)["digest"])


def refusal(gate: Gate, **changes: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(Refused) as caught:
        admit(gate, request(**changes))
    return [(reason.code, reason.why, reason.mend) for reason in caught.value.reasons]


def test_an_approval_is_bound_to_its_purposes(gate: Gate) -> None:
    digest = submit(gate, BOTH)
    for reviewer in REVIEWERS:
        gate.house.recipes.approve(digest, "hum", reviewer, ["train"])
    found = gate.house.recipes.describe(digest)
    assert found["approved_for"] == {reviewer: ["train"] for reviewer in REVIEWERS}
    ((code, why, _),) = refusal(gate, recipe=BOTH, purpose="test")
    assert code == "recipe.unapproved"
    assert (
        "approved for test by nobody else" in why
        and f"for other purposes only by {', '.join(REVIEWERS)}" in why
    )
    gate.house.recipes.approve(digest, "hum", REVIEWERS[0], ["train", "test"])
    assert [code for code, *_ in refusal(gate, recipe=BOTH, purpose="test")] == ["recipe.unapproved"]
    gate.house.recipes.approve(digest, "hum", REVIEWERS[1], ["test"])
    assert admit(gate, request(BOTH, purpose="test"))
    assert [code for code, *_ in refusal(gate, recipe=BOTH, purpose="train")] == ["recipe.unapproved"]


def test_a_card_that_gains_a_purpose_needs_a_new_approval(gate: Gate) -> None:
    assert admit(gate)
    submit(gate, BOTH)
    ((code, why, _),) = refusal(gate, recipe=BOTH)
    assert code == "recipe.unapproved" and why.endswith("it differs in recipe.yaml +1 -1")


@pytest.mark.parametrize("purposes", [["optimise"], ["train", "sing"], []])
def test_nobody_approves_for_what_the_card_does_not_know(gate: Gate, purposes: list[str]) -> None:
    with pytest.raises(Usage) as caught:
        gate.house.recipes.approve(recipe_digest(HUM), "hum", REVIEWERS[0], purposes)
    assert caught.value.code == "recipe.purpose"


def test_one_changed_byte_is_refused_and_the_difference_named(gate: Gate) -> None:
    digest = submit(gate, CHANGED)
    ((code, why, mend),) = refusal(gate, recipe=CHANGED)
    assert code == "recipe.unapproved"
    assert f"approved last: {recipe_digest(HUM)[:12]}…, it differs in recipe.py +3 -0" in why
    assert mend == f"sandbox recipe review {digest[:12]}"


def test_a_first_version_has_nothing_to_differ_from(gate: Gate) -> None:
    other = {**HUM, "recipe.yaml": HUM["recipe.yaml"].replace(b"name: hum", b"name: sing")}
    submit(gate, other)
    ((_, why, _),) = refusal(gate, recipe=other)
    assert why.endswith("no version of it was approved before")


def test_the_version_before_is_the_one_approved_last_that_may_still_run(gate: Gate) -> None:
    second = submit(gate, CHANGED)
    for reviewer in REVIEWERS:
        gate.house.recipes.approve(second, "hum", reviewer)
    third = {**HUM, "recipe.py": b"def main(run): pass\n"}
    assert gate.house.recipes.review(submit(gate, third))["before"] == second
    gate.house.recipes.revoke(second, "it aborts", STEWARD)
    assert gate.house.recipes.review(recipe_digest(third))["before"] == recipe_digest(HUM)


def test_one_reviewer_revokes_what_two_approved(gate: Gate) -> None:
    digest = recipe_digest(HUM)
    assert admit(gate)
    found = gate.house.recipes.revoke(digest, "it hums names", REVIEWERS[1])
    assert found["revoked_by"] == [REVIEWERS[1]] and found["approved_by"] == [REVIEWERS[0]]
    assert {code for code, *_ in refusal(gate)} == {"recipe.revoked", "recipe.unapproved"}
    gate.house.recipes.approve(digest, "hum", REVIEWERS[1])
    assert admit(gate)


def test_a_revocation_stands_though_two_others_approve(world: World, gate: Gate) -> None:
    from sandbox.custodian.people import enter_person

    digest = recipe_digest(HUM)
    gate.house.recipes.revoke(digest, "no", STEWARD)
    assert {code for code, *_ in refusal(gate)} == {"recipe.revoked"}
    said = {"nda": {"expires": "2027-01-10"}, "training": {"course": "x", "valid_until": "2027-01-12"}}
    enter_person(
        world.desk, STEWARD, {"person": "b.privacy.3", "party": "B", "roles": ["privacy_reviewer"], **said}
    )
    gate.house.recipes.approve(digest, "hum", "b.privacy.3")
    assert {code for code, *_ in refusal(gate)} == {"recipe.revoked"}


@pytest.mark.parametrize("who", [ENGINEER, OPERATOR, "nobody"])
def test_only_a_reviewer_revokes(gate: Gate, who: str) -> None:
    with pytest.raises(NotPermitted):
        gate.house.recipes.revoke(recipe_digest(HUM), "x", who)
    assert admit(gate)


def test_a_revocation_has_a_reason_and_something_to_revoke(gate: Gate) -> None:
    for reason in ("", "  ", "x" * 301, "ok\x1b[2J", "a\nb", "null"):
        with pytest.raises(Usage):
            gate.house.recipes.revoke(recipe_digest(HUM), reason, REVIEWERS[0])
    with pytest.raises(Refused) as caught:
        gate.house.recipes.revoke(submit(gate, CHANGED), "x", REVIEWERS[0])
    assert caught.value.code == "recipe.never_approved"


def test_who_said_what_when_is_kept_and_named_in_the_log(world: World, gate: Gate) -> None:
    digest = recipe_digest(HUM)
    gate.house.recipes.revoke(digest, "it hums names", REVIEWERS[0])
    gate.house.recipes.approve(digest, "hum", REVIEWERS[0])
    for found in (gate, world.gate()):
        history = found.house.recipes.review(digest)["history"]
        assert [(one["by"], one["status"], one["reason"]) for one in history] == [
            (REVIEWERS[0], "approved", ""),
            (REVIEWERS[1], "approved", ""),
            (REVIEWERS[0], "revoked", "it hums names"),
            (REVIEWERS[0], "approved", ""),
        ]
        assert all(one["at"] == "2026-11-24T12:00:00Z" for one in history)
    entries = [json.loads(entry) for entry in gate.house.store.read(log.entries)]
    named = [one["seq"] for one in entries if one.get("register") == "recipe-approval"]
    assert named == list(range(1, 7))  # two recipes by two reviewers, and these two acts


def test_a_revocation_between_decision_and_admission_is_noticed(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gather, looked = gate.admission._knowledge.gather, []

    def slow(wanted: Any, person: str) -> Any:
        found = gather(wanted, person)
        if not looked:
            looked.append(gate.house.recipes.revoke(recipe_digest(HUM), "just now", REVIEWERS[0]))
        return found

    monkeypatch.setattr(gate.admission._knowledge, "gather", slow)
    assert "recipe.revoked" in {code for code, *_ in refusal(gate)}


def test_the_same_approval_twice_is_one_entry(gate: Gate) -> None:
    before = len(gate.registers.reviews("recipe-approval"))
    gate.house.recipes.approve(recipe_digest(HUM), "hum", REVIEWERS[0])
    assert len(gate.registers.reviews("recipe-approval")) == before


def test_bytes_that_were_lost_do_not_keep_a_refusal_from_being_given(world: World, gate: Gate) -> None:
    submit(gate, CHANGED)
    (world.places.recipes / recipe_digest(HUM) / "recipe.py").unlink()
    ((code, _, _),) = refusal(gate, recipe=CHANGED)
    assert code == "recipe.unapproved"


def test_an_approval_given_before_purposes_were_named_counts_for_none(gate: Gate) -> None:
    from sandbox.policy.entries import ApprovalEntry

    digest = submit(gate, CHANGED)
    for reviewer in REVIEWERS:
        gate.registers.approve(ApprovalEntry(recipe="hum", digest=digest, reviewer=reviewer), reviewer)
    assert [code for code, *_ in refusal(gate, recipe=CHANGED)] == ["recipe.unapproved"]


FILES = {
    "a line more": (b"a\nb\n", b"a\nx\nb\n", (1, 0)),
    "a byte": (b"a\nb\n", b"a\nc\n", (1, 1)),
    "the last newline": (b"a\n", b"a", (1, 1)),
    "moved": (b"a\nb\n", b"b\na\n", (1, 1)),
    "whole": (b"", b"a\nb\n", (2, 0)),
    "too large to compare in order": (b"a\n" * LINES_MAX, b"a\n" * LINES_MAX + b"b\n", (1, 0)),
}


@pytest.mark.parametrize(("old", "new", "counts"), FILES.values(), ids=FILES)
def test_lines_that_came_and_went_are_counted(old: bytes, new: bytes, counts: tuple[int, int]) -> None:
    assert changed_files({"f": old, "same": b"x"}, {"f": new, "same": b"x"}) == (FileChange("f", *counts),)


def test_files_that_came_or_went_are_named() -> None:
    found = changed_files({"old.py": b"a\n"}, {"new.py": b"a\nb\n"})
    assert found == (FileChange("new.py", 2, 0), FileChange("old.py", 0, 1))


def test_a_recipe_of_another_name_is_not_the_version_before(gate: Gate) -> None:
    assert gate.house.recipes.review(recipe_digest(LISTEN))["before"] == ""
