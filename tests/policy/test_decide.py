from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sandbox.policy.decide import BROKEN, RULES, decide
from sandbox.policy.facts import Facts
from sandbox.policy.rule import Finding, Rule
from sandbox.runs import Kind, Request
from tests.policy import cases
from tests.policy import world as w

PERMITTED = {
    "a run on a dataset": cases.run,
    "a run on a model": cases.evaluation,
    "a private run": cases.private,
    "a dry run": cases.dry,
}


@pytest.mark.parametrize("make", PERMITTED.values(), ids=PERMITTED.keys())
def test_a_run_that_breaks_no_rule_is_permitted(make) -> None:
    decision = decide(*make())
    assert decision.reasons == () and decision.permitted


@pytest.mark.parametrize("code", [rule.code for rule in RULES])
def test_a_rule_and_only_it_refuses(code: str) -> None:
    decision = decide(*cases.CASES[code]())
    assert {reason.code for reason in decision.reasons} == {code}
    assert not decision.permitted and decision.expires is None
    for reason in decision.reasons:
        assert reason.about and reason.why and reason.mend and reason.clause


@pytest.mark.parametrize("code", [rule.code for rule in RULES])
def test_without_its_rule_the_run_would_be_permitted(code: str) -> None:
    others = [rule for rule in RULES if rule.code != code]
    assert decide(*cases.CASES[code](), others).permitted


def test_codes_are_unique_and_each_has_a_case() -> None:
    codes = [rule.code for rule in RULES]
    assert len(set(codes)) == len(codes)
    assert set(cases.CASES) == set(codes)


def test_all_reasons_are_listed_in_a_stable_order() -> None:
    asked = w.request(purpose="serve_custom_tts")
    registers = w.registers(people=[w.person(training={"course": "c", "valid_until": "2026-11-02"})])
    facts = w.facts(asked, registers=registers, recipe=w.card(clones=True))
    reasons = decide(asked, facts).reasons
    assert [(reason.code, reason.about) for reason in reasons] == [
        ("person.training_expired", "eng.li"),
        ("purpose.not_for_dataset", "digits"),
        ("recipe.unapproved", "digits"),
        ("image.unapproved", "image 333333333333"),
        ("consent.scope_missing", "spk_aa"),
        ("consent.scope_missing", "spk_bb"),
    ]
    assert "serve_to_third_parties, clone_identifiable_voice were not" in reasons[-1].why


@pytest.mark.parametrize("code", [*cases.CASES, *PERMITTED])
def test_replaying_the_stored_facts_gives_the_same_decision(code: str) -> None:
    asked, facts = cases.CASES[code]() if code in cases.CASES else PERMITTED[code]()
    again = (
        Request.from_json(json.loads(json.dumps(asked.to_json()))),
        Facts.from_json(json.loads(json.dumps(facts.to_json()))),
    )
    assert decide(*again) == decide(asked, facts)


def test_another_fact_gives_another_digest() -> None:
    asked = w.request()
    digests = {
        decide(asked, w.facts(asked)).inputs_digest,
        decide(asked, w.facts(asked, now=cases.LATER)).inputs_digest,
        decide(w.request(subjects=("spk_aa",)), w.facts(asked)).inputs_digest,
    }
    assert len(digests) == 3


@pytest.mark.parametrize("lost", ["person", "status", "terms", "recipe", "manifest", "registered"])
def test_a_fact_that_is_not_known_is_a_refusal(lost: str) -> None:
    asked = w.request()
    assert not decide(asked, replace(w.facts(asked), **{lost: None})).permitted


@pytest.mark.parametrize("lost", ["access", "consents", "granted_at", "spending"])
def test_rows_that_are_missing_are_a_refusal(lost: str) -> None:
    asked, facts = cases.private()
    assert not decide(asked, replace(facts, **{lost: type(getattr(facts, lost))()})).permitted


def test_a_rule_that_fails_is_a_refusal() -> None:
    def broken(_: Request, __: Facts):
        yield Finding("x", "y")
        raise KeyError("spk_aa said a secret")

    asked = w.request()
    decision = decide(asked, w.facts(asked), [Rule("a.b", "1", "c", "d", broken)])
    assert [reason.code for reason in decision.reasons] == [BROKEN]
    assert "secret" not in str(decision.reasons)


def test_a_run_on_a_model_needs_the_consent_of_everybody_in_its_lineage() -> None:
    asked = w.evaluation()
    registers = w.registers(consent=[w.consent("spk_aa"), w.consent("spk_bb", status="ConsentWithdrawn")])
    reasons = decide(asked, w.evaluation_facts(asked, registers=registers)).reasons
    assert [(reason.code, reason.about) for reason in reasons] == [("consent.withdrawn", "spk_bb")]


def test_a_run_on_a_model_needs_access_to_the_data_it_came_from() -> None:
    asked = w.evaluation()
    reasons = decide(asked, w.evaluation_facts(asked, registers=w.registers(access=[]))).reasons
    assert [(reason.code, reason.about) for reason in reasons] == [("access.missing", "digits")]


def test_a_consent_for_another_dataset_is_no_consent() -> None:
    asked = w.request()
    registers = w.registers(consent=[w.consent("spk_aa", dataset="voices"), w.consent("spk_bb")])
    reasons = decide(asked, w.facts(asked, registers=registers)).reasons
    assert [reason.code for reason in reasons] == ["consent.missing"]


def test_ones_own_approval_of_a_recipe_does_not_count() -> None:
    asked = w.request()
    engineer = w.person(roles=["ml_engineer", "privacy_reviewer"])
    registers = w.registers(
        people=[engineer, w.reviewer("b.privacy.1")],
        recipe_approval=[w.approval("eng.li"), w.approval("b.privacy.1")],
    )
    assert [r.code for r in decide(asked, w.facts(asked, registers=registers)).reasons] == [
        "recipe.unapproved"
    ]


def test_an_approval_by_somebody_who_may_not_review_does_not_count() -> None:
    asked = w.request()
    registers = w.registers(people=[w.person(), w.reviewer("b.privacy.1")])
    assert [r.code for r in decide(asked, w.facts(asked, registers=registers)).reasons] == [
        "recipe.unapproved"
    ]


def test_provided_data_needs_consent_to_the_recipient() -> None:
    asked, facts = cases.signed("model: entrusted", "model: provided")
    codes = [reason.code for reason in decide(asked, facts).reasons]
    assert codes == ["consent.scope_missing"] * 2


def test_permission_ends_with_the_earliest_of_all_dates() -> None:
    asked = w.request()
    assert decide(asked, w.facts(asked)).expires == datetime(2026, 12, 1, 12, 30, tzinfo=UTC)
    registers = w.registers(
        consent=[w.consent("spk_aa", expires="2026-12-01T12:10:00Z"), w.consent("spk_bb")],
        access=[w.access(until="2026-12-01T12:20:00Z")],
    )
    found = decide(asked, w.facts(asked, registers=registers)).expires
    assert found == datetime(2026, 12, 1, 12, 10, tzinfo=UTC)


def test_a_dry_run_needs_no_agreement_but_a_trained_person() -> None:
    asked, facts = cases.dry()
    assert asked.kind is Kind.DRY
    person = facts.person.model_copy(update={"status": "left"})
    assert [reason.code for reason in decide(asked, replace(facts, person=person)).reasons] == ["person.left"]
