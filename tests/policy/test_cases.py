"""Tables of cases: the shipped one holds, a wrong expectation is found, and a typo never tests nothing."""

from __future__ import annotations

import pytest

from sandbox.errors import Usage
from sandbox.policy import decide as rules
from sandbox.policy.agreement import Agreement
from sandbox.policy.cases import Outcome, try_cases
from sandbox.policy.documents import read
from sandbox.policy.terms import Terms
from sandbox.statements import sha256
from tests.policy.world import DEMO, ROOT, agreement

SHIPPED = ROOT / "configs/policy-tests/demo.yaml"
USUAL = """\
kind: PolicyCases
usual:
  date: 2026-12-01
  person: eng.li
  purpose: train
  dataset: digits
cases:
"""


def tried(cases: str, usual: str = USUAL) -> tuple[Outcome, ...]:
    return try_cases((usual + cases).encode(), "cases.yaml", agreement())


def codes(said: str) -> tuple[str, ...]:
    """The refusals of one case that says ``said`` besides the usual."""
    (found,) = tried(f"  - case: one\n    expect: permitted\n{said}")
    return found.codes


def test_the_shipped_table_holds() -> None:
    found = try_cases(SHIPPED.read_bytes(), SHIPPED.name, agreement())
    assert len(found) >= 10
    assert [(one.case, one.codes) for one in found if not one.as_expected] == []
    assert {one.expected == () for one in found} == {True, False}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("expect: permitted", "expect: [person.left]"),
        ("expect: [person.left, person.nda_expired]", "expect: [person.left]"),
        ("expect: [consent.withdrawn]", "expect: [consent.withdrawn, person.left]"),
        ("expect: [agreement.suspended]", "expect: permitted"),
    ],
)
def test_a_wrong_expectation_is_found(right: str, wrong: str) -> None:
    text = SHIPPED.read_text()
    assert right in text
    found = try_cases(text.replace(right, wrong, 1).encode(), SHIPPED.name, agreement())
    assert [one.as_expected for one in found].count(False) == 1


def test_a_rule_that_is_gone_makes_its_case_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tuple(rule for rule in rules.RULES if rule.code != "consent.withdrawn")
    monkeypatch.setattr(rules.decide, "__defaults__", (kept,))
    found = try_cases(SHIPPED.read_bytes(), SHIPPED.name, agreement())
    assert [one.case for one in found if not one.as_expected] == ["Ben withdrew his consent"]


ALONE = {
    "registered: false": "person.unknown",
    "left: true": "person.left",
    "roles: [operator]": "person.role_missing",
    "roles: [ml_engineer, auditor]": "person.auditor",
    "nda_until: 2026-12-01": "person.nda_expired",
    "training_until: 2026-12-01": "person.training_expired",
    "access: none": "access.missing",
    "access: [test]": "access.purpose_missing",
    "access_until: 2026-12-01": "access.expired",
    "access_until: 2028-01-01": "access.too_long",
    "access_since: 2024-01-01": "access.expired",
    "access_approved_by: eng.li": "access.self_approved",
    "recipe_for: [test]": "recipe.purpose",
    "approved_by: [b.reviewer.1]": "recipe.unapproved",
    "approved_by: [b.reviewer.1, eng.li]": "recipe.unapproved",
    "sealed_for: [test]": "purpose.not_sealed_for",
    "dataset: elsewhere": "dataset.not_listed",
    "kept_until: 2026-12-01": "dataset.expired",
    "stored_in: US": "region.storage",
    "processed_in: US": "region.processing",
    "speakers: []": "subjects.empty",
    "erased: [spk_aa]": "subject.erased",
    "consent: {status: none}": "consent.missing",
    "consent: {status: withdrawn}": "consent.withdrawn",
    "consent: {status: unknown}": "consent.not_given",
    "consent: {status: expired}": "consent.not_given",
    "consent: {status: refused}": "consent.not_given",
    "consent: {until: 2026-12-01}": "consent.expired",
    "consent: {since: 2026-12-02}": "consent.not_yet",
    "consent: {scope: [process_voice_biometric]}": "consent.scope_missing",
    "consent: {age: 14_17}": "subject.minor",
    "consent: {signed_by: guardian}": "consent.not_own",
    "clones: true": "consent.scope_missing",
    "privacy: {unit: utterance, epsilon: 1.0}": "privacy.unit",
    "privacy: {epsilon: 8.5}": "privacy.epsilon budget.exhausted",
    "privacy: {epsilon: 1.0, delta: 1.0e-3}": "privacy.delta",
    "privacy: {epsilon: 1.0}\n    trains_privately: false": "privacy.unsupported",
    "privacy: {epsilon: 1.0}\n    epsilon_spent: 7.5": "budget.exhausted",
    "agreement_status: none": "agreement.unknown",
    "agreement_status: suspended": "agreement.suspended",
    "agreement_status: terminated": "agreement.terminated",
    "date: 2025-12-01": "agreement.not_yet",
    "model: digits@1\n    purpose: evaluate\n    tainted: erased": "input.tainted",
    "model: digits@1\n    purpose: evaluate\n    consent: {status: withdrawn}": "consent.withdrawn",
    "purpose: serve_custom_tts": "purpose.not_for_dataset consent.scope_missing",
    "privacy: {epsilon: 1.0}": "",
    "model: digits@1\n    purpose: evaluate": "",
    "access: [test, train]": "",
    "access_since: 2026-08-01": "access.review_overdue",
    "access_since: 2026-08-01\n    access_reviewed: 2026-11-30": "",
    "approved_for: [test]": "recipe.unapproved",
    "recipe_revoked: true": "recipe.revoked",
    "image_approved_by: none": "image.unapproved",
}


@pytest.mark.parametrize(
    ("said", "expected"), ALONE.items(), ids=[said.replace("\n    ", ", ") for said in ALONE]
)
def test_what_a_case_says_reaches_the_rule_that_it_is_about(said: str, expected: str) -> None:
    assert codes(f"    {said}\n") == tuple(expected.split())


def test_one_speakers_consent_differs_in_what_is_said_of_it_and_nothing_else() -> None:
    said = """\
    clones: true
    consent: {scope: [process_voice_biometric, ai_synthesis_of_my_voice, clone_identifiable_voice]}
    consent_of: {spk_bb: {status: withdrawn}}
"""
    (found,) = tried(f"  - case: one\n    expect: [consent.withdrawn]\n{said}")
    assert found.as_expected and [reason.about for reason in found.reasons] == ["spk_bb"]


def test_a_case_overrides_the_usual_key_by_key() -> None:
    usual = USUAL.replace("cases:", "  consent: {until: 2026-12-01}\n  privacy: {epsilon: 9.0}\ncases:")
    (found,) = tried("  - {case: one, expect: permitted, consent: {age: adult}, privacy: none}\n", usual)
    assert found.codes == ("consent.expired",)
    (found,) = tried(
        "  - {case: one, expect: permitted, consent: {until: 2027-12-01}, privacy: {epsilon: 2.0}}\n", usual
    )
    assert found.codes == ()


ONE = "  - case: one\n    expect: permitted\n"
TWICE = "  - {case: one, expect: permitted}\n" * 2
FAULTY: dict[str, tuple[str, str]] = {
    "an unknown key": (ONE + "    training: 2026-12-01\n", "10: cases.0.training: no such key"),
    "a consent's unknown key": (ONE + "    consent: {scop: []}\n", "10: cases.0.consent.scop: no such key"),
    "an unknown flag": (
        ONE + "    consent: {scope: [sing]}\n", "10: cases.0.consent.scope.0: nobody is asked for 'sing'",
    ),
    "a purpose of ours": (ONE + "    purpose: sing\n", "10: cases.0.purpose: "),
    "an unknown code": (
        ONE.replace("permitted", "[person.lost]"), "9: cases.0.expect: 'person.lost' is no code of a refusal",
    ),
    "refused, without codes": (ONE.replace("permitted", "[]"), "9: cases.0.expect: write permitted, or"),
    "nothing expected": ("  - case: one\n", "8: cases.0.expect: missing"),
    "a name twice": (TWICE, "7: cases: two cases are called 'one'"),
    "no case at all": ("  []\n", "7: cases: "),
    "a consent of nobody": (
        ONE + "    consent_of: {spk_cc: {age: adult}}\n", "10: cases.0.consent_of: spk_cc is none of the speakers",
    ),
    "an erasure of nobody": (
        ONE + "    erased: [spk_cc]\n", "10: cases.0.erased: spk_cc is none of the speakers",
    ),
    "a taint of nothing": (ONE + "    tainted: erased\n", "10: cases.0.tainted: only a model is tainted"),
}  # fmt: skip


@pytest.mark.parametrize(("said", "message"), FAULTY.values(), ids=FAULTY)
def test_a_faulty_table_is_refused_with_its_line(said: str, message: str) -> None:
    with pytest.raises(Usage) as caught:
        tried(said)
    assert caught.value.message.startswith(f"cases.yaml:{message}")


@pytest.mark.parametrize("key", ["date", "person", "purpose", "dataset"])
def test_what_no_case_can_do_without_is_asked_for(key: str) -> None:
    usual = "".join(line for line in USUAL.splitlines(True) if not line.startswith(f"  {key}:"))
    with pytest.raises(Usage, match=f"cases.0.{key}: missing, here and in usual"):
        tried("  - {case: one, expect: permitted}\n", usual)


def test_a_draft_of_other_terms_is_decided_by_its_own_words() -> None:
    draft = DEMO.decode().replace("dp: {required: false", "dp: {required: true", 1).encode()
    terms = Agreement(read(draft, Terms, "draft.yaml"), sha256(draft))
    (found,) = try_cases((USUAL + "  - {case: one, expect: [privacy.required]}\n").encode(), "c.yaml", terms)
    assert found.as_expected and found.line == 8
