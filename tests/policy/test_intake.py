"""The intake as a state machine: every legal step, and every other one refused with its code."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.errors import NotPermitted, Refused, SandboxError
from sandbox.policy import intake
from sandbox.policy.entries import CHECKLIST, ConsentEntry, IntakeEntry, PersonEntry, Review
from sandbox.policy.terms import DatasetTerms
from tests.policy import world as w

NOW = datetime(2026, 12, 1, tzinfo=UTC)
LISTED: DatasetTerms = w.terms().dataset("digits")
STATES = tuple(intake.NEXT)


def entry(state="scanned", **changes):
    said = {
        "consignment": "cs-abc234",
        "number": 1,
        "agreement": w.AGREEMENT,
        "dataset": "digits",
        "digest": "7" * 64,
        "categories": ["speech_sample", "text"],
        "subjects": ["spk_aa", "spk_bb"],
        "files": 2,
        "size": 400,
        "received_by": "b.steward",
        "state": state,
        **changes,
    }
    return IntakeEntry.model_validate(said)


def who(name="b.privacy.1", *roles, status="active"):
    return PersonEntry.model_validate(
        {**w.person(roles=list(roles or ["privacy_reviewer"])), "person": name, "status": status}
    )


def review(reviewer="b.privacy.1", **answers):
    """All met, unless an answer says otherwise; None leaves an item out; a pair is an answer with its note."""
    found = []
    for item in CHECKLIST:
        answer = answers.get(item, "met")
        if answer is not None:
            said, note = answer if isinstance(answer, tuple) else (answer, None)
            found.append({"item": item, "answer": said, "note": note})
    return Review.model_validate({"reviewer": reviewer, "checklist": found})


def reviewed():
    once = intake.reviewed(entry(), who(), review(), [])
    return intake.reviewed(once, who("a.approver", "party_a_approver"), review("a.approver"), [])


def consents(**changes):
    rows = [w.consent("spk_aa", changes.pop("scope", None), **changes), w.consent("spk_bb")]
    return {row.key: row for row in map(ConsentEntry.model_validate, rows)}


def refused(code, step, *args, kind=Refused, **named):
    with pytest.raises(kind) as caught:
        step(*args, **named)
    codes = {caught.value.code, *(reason.code for reason in caught.value.reasons)}
    assert code in codes, codes


def test_the_way_from_received_to_accepted():
    first = intake.scanned(entry("received"), LISTED.categories, untreated=0)
    once = intake.reviewed(first, who(), review(), [])
    assert (first.state, once.state) == ("scanned", "scanned")
    twice = intake.reviewed(once, who("a.approver", "party_a_approver"), review("a.approver"), [])
    assert twice.state == "reviewed"
    assert intake.accepted(twice, who("b.steward", "data_steward"), []).state == "accepted"


UNLABELLED = {
    "no category": ({"categories": []}, 0, "carries no category"),
    "an unknown category": ({"categories": ["speech_sample", "gossip"]}, 0, "gossip is not agreed"),
    "a category that is not agreed": ({"categories": ["voiceprint"]}, 0, "voiceprint is not agreed"),
    "untreated findings": ({}, 3, "3 findings are untreated"),
}


@pytest.mark.parametrize(("changes", "untreated", "why"), UNLABELLED.values(), ids=UNLABELLED.keys())
def test_what_is_not_labelled_or_treated_goes_to_quarantine(changes, untreated, why):
    found = intake.scanned(entry("received", **changes), LISTED.categories, untreated)
    assert found.state == "quarantined" and why in found.reason


STEPS = {
    "scanned": lambda e: intake.scanned(e, LISTED.categories, 0),
    "reviewed": lambda e: intake.reviewed(e, who(), review(), []),
    "accepted": lambda e: intake.accepted(e, who("b.steward", "data_steward"), []),
    "rejected": lambda e: intake.ended(e, who(), "rejected", "why"),
    "quarantined": lambda e: intake.ended(e, who(), "quarantined", "why"),
}
ILLEGAL = [(state, step) for state in STATES for step in STEPS if step not in intake.NEXT[state]]


@pytest.mark.parametrize(("state", "step"), ILLEGAL)
def test_every_other_step_is_refused(state, step):
    refused("intake.transition_illegal", STEPS[step], entry(state))


def test_nothing_but_a_reviewed_one_becomes_accepted():
    assert [state for state in STATES if "accepted" in intake.NEXT[state]] == ["reviewed"]
    assert (intake.NEXT["accepted"], intake.NEXT["rejected"]) == (("rejected",), ())
    refused(
        "intake.transition_illegal", intake.ended, entry("accepted"), who(), "rejected", "why", sealed=True
    )
    assert intake.ended(entry("accepted"), who(), "rejected", "why").state == "rejected"


def test_who_received_it_does_not_review_it():
    refused("intake.own_receipt", intake.reviewed, entry(), who("b.steward"), review("b.steward"), [])


def test_nobody_reviews_it_twice():
    once = intake.reviewed(entry(), who(), review(), [])
    refused("intake.same_reviewer", intake.reviewed, once, who(), review(), [])


def test_acceptance_counts_the_reviewers_itself():
    """Even if a register said `reviewed` after one, or after the receiver's own."""
    for names in ((), ("b.privacy.1",), ("b.privacy.1", "b.privacy.1"), ("b.privacy.1", "b.steward")):
        found = entry("reviewed", reviews=[review(name) for name in names])
        refused("intake.reviewers_missing", intake.accepted, found, who("b.steward", "data_steward"), [])


@pytest.mark.parametrize("roles", [["ml_engineer"], ["auditor"], ["operator"], ["data_steward"]])
def test_a_review_takes_a_reviewers_role(roles):
    refused(
        "person.not_permitted",
        intake.reviewed,
        entry(),
        who("b.x", *roles),
        review("b.x"),
        [],
        kind=NotPermitted,
    )
    with pytest.raises(NotPermitted):
        intake.ended(entry(), who("b.x", *roles), "rejected", "why")


@pytest.mark.parametrize("roles", [["ml_engineer"], ["auditor"], ["privacy_reviewer"], ["party_a_approver"]])
def test_accepting_takes_a_steward(roles):
    with pytest.raises(NotPermitted):
        intake.accepted(reviewed(), who("b.x", *roles), [])


@pytest.mark.parametrize("person", [None, who(status="left")])
def test_nobody_unknown_or_gone_takes_a_step(person):
    for step in (
        lambda: intake.reviewed(entry(), person, review(), []),
        lambda: intake.accepted(reviewed(), person, []),
        lambda: intake.ended(entry(), person, "rejected", "why"),
    ):
        with pytest.raises(NotPermitted):
            step()


CHECKS = {
    **{f"{item} left out": ({item: None}, "intake.checklist_incomplete") for item in CHECKLIST},
    **{f"{item} not met": ({item: "not_met"}, "intake.not_met") for item in CHECKLIST},
    **{
        f"{item} waived": ({item: ("waived", "we know them")}, "intake.not_waivable")
        for item in CHECKLIST
        if item not in ("chain_of_title", "notice")
    },
    "a waiver without a word": ({"notice": ("waived", None)}, "intake.waiver_unexplained"),
}


@pytest.mark.parametrize(("answers", "code"), CHECKS.values(), ids=CHECKS.keys())
def test_a_checklist_is_answered_whole(answers, code):
    refused(code, intake.reviewed, entry(), who(), review(**answers), [])


@pytest.mark.parametrize("item", ["chain_of_title", "notice"])
def test_what_may_be_waived_is_waived_with_a_reason(item):
    assert intake.reviewed(entry(), who(), review(**{item: ("waived", "own studio")}), []).reviews


def test_an_end_needs_a_reason():
    refused("intake.reason_missing", intake.ended, entry(), who(), "rejected", " ")


AGAINST = {
    "consent_missing": {"status": "ConsentWithdrawn"},
    "consent_expired": {"expires": "2026-12-01T00:00:00Z"},
    "scope_missing": {"scope": {"ai_synthesis_of_my_voice": False}},
    "signature_missing": {"evidence": {"sha256": "8" * 64, "signed_by": "guardian"}},
    "guardian_missing": {"age_band": "under_14"},
    "minor_approver_missing": {"age_band": "14_17"},
}


@pytest.mark.parametrize(("code", "changes"), AGAINST.items())
def test_the_registers_cannot_be_talked_away(code, changes):
    """A missing signature, scope or consent, a period that is over: each with its code, at review and acceptance."""
    found = intake.blockers(entry(), LISTED, consents(**changes), NOW)
    assert f"intake.{code}" in {reason.code for reason in found}
    refused(f"intake.{code}", intake.reviewed, entry(), who(), review(), found)
    refused(f"intake.{code}", intake.accepted, reviewed(), who("b.steward", "data_steward"), found)


def test_somebody_without_any_consent_blocks_it():
    rows = {("digits", "spk_aa"): consents()["digits", "spk_aa"]}
    assert [(r.code, r.about) for r in intake.blockers(entry(), LISTED, rows, NOW)] == [
        ("intake.consent_missing", "spk_bb")
    ]


def test_everybody_who_consented_blocks_nothing():
    assert intake.blockers(entry(), LISTED, consents(), NOW) == []


def test_somebody_who_asked_to_be_forgotten_blocks_it():
    gone = {("digits", "spk_bb"), ("voices", "spk_aa")}
    found = intake.blockers(entry(), LISTED, consents(), NOW, erased=gone)
    assert [(reason.code, reason.about) for reason in found] == [("intake.subject_erased", "spk_bb")]


def test_provided_data_needs_the_recipient_consented_to():
    rows = consents(scope={"recipient_party_b": False})
    assert intake.blockers(entry(), LISTED, rows, NOW) == []
    codes = [reason.code for reason in intake.blockers(entry(), LISTED, rows, NOW, provided=True)]
    assert set(codes) == {"intake.scope_missing"}


def test_the_period_ends_at_its_last_second():
    rows = consents(expires="2026-12-01T00:00:01Z")
    assert intake.blockers(entry(), LISTED, rows, NOW) == []
    assert intake.blockers(entry(), LISTED, rows, datetime(2026, 12, 1, 0, 0, 1, tzinfo=UTC))


def test_minors_need_their_approver_among_the_reviewers():
    subjects = LISTED.subjects.model_copy(update={"minor_access_approver": "a.approver"})
    listed = LISTED.model_copy(update={"subjects": subjects})
    rows = consents(age_band="14_17")
    assert intake.blockers(entry(), listed, rows, NOW) == []
    assert intake.unapproved_minors(reviewed(), listed, rows) == []
    without = entry("reviewed", reviews=[review("b.privacy.1"), review("b.privacy.2")])
    assert [reason.code for reason in intake.unapproved_minors(without, listed, rows)] == [
        "intake.minors_unapproved"
    ]
    assert intake.unapproved_minors(without, listed, consents()) == []


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(STEPS)), max_size=8),
    st.lists(st.sampled_from(["b.privacy.1", "b.privacy.2", "b.steward"]), min_size=8, max_size=8),
)
def test_no_order_of_steps_accepts_without_two_others(steps, reviewers):
    """Whatever is tried, and by whom: an accepted one was reviewed by two people, neither of whom received it."""
    found = entry("received")
    for step, name in zip(steps, reviewers, strict=False):
        try:
            moved = intake.reviewed(found, who(name), review(name), []) if step == "reviewed" else None
            found = moved or STEPS[step](found)
        except SandboxError:
            continue
    if found.state == "accepted":
        assert {r.reviewer for r in found.reviews} == {"b.privacy.1", "b.privacy.2"}


def test_what_the_agreement_lists_no_more_is_in_the_way():
    known = consents()
    assert intake.blockers(entry(), LISTED, known, NOW) == []
    now = LISTED.model_copy(update={"categories": ("text",)})
    found = intake.blockers(entry(), now, known, NOW)
    assert [(reason.code, reason.why) for reason in found] == [
        ("intake.category_not_agreed", "speech_sample is not agreed any more")
    ]
