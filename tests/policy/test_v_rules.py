"""AGREEMENT's rules V01 to V30, and what default-deny means: each has a case in which it, and only it, refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sandbox.errors import SandboxError
from sandbox.policy.agreement import open_agreement
from sandbox.policy.decide import BROKEN, RULES, decide
from sandbox.policy.documents import read
from sandbox.policy.rule import Rule
from sandbox.policy.soundness import FILE_RULES, check_terms
from sandbox.policy.terms import Terms
from tests.fakes.agreement import PARTY_A, PARTY_B, signed
from tests.policy import cases
from tests.policy import test_narrowing as narrowing
from tests.policy import world as w

A, B = PARTY_A.public, PARTY_B.public


def swapped(*swaps: tuple[str, str]) -> bytes:
    text = w.DEMO.decode()
    for old, new in swaps:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text.encode()


def of_file(*swaps: tuple[str, str]) -> set[str]:
    """The codes with which ``activate`` refuses the demo's file with these texts swapped."""
    return {reason.code for reason in check_terms(read(swapped(*swaps), Terms, "demo.yaml"))}


def of_run(code: str) -> set[str]:
    """The codes with which a run is refused in the one world of ``code``."""
    return {reason.code for reason in decide(*cases.CASES[code]()).reasons}


def raised(attempt: Callable[[], object]) -> set[str]:
    with pytest.raises(SandboxError) as caught:
        attempt()
    return {caught.value.code}


def one_signature() -> object:
    return open_agreement(w.DEMO, signed(w.DEMO, PARTY_A), A, B, "demo.yaml")


SUBJECTS = "subjects: {under_14: 0, aged_14_17: 0}"
TRANSFER = "transfers: []", "transfers: [{to: US, agreement_basis: a}]"
PROCESSOR = "subprocessors: []", "subprocessors: [{name: Cloud, purposes: [train]}]"
ASSESSMENT = """\
    impact_assessment:
      sha256: 5555555555555555555555555555555555555555555555555555555555555555
      approved_on: 2026-01-01
      kept_until: 2036-01-01
"""

#: Rule -> (what tries it, the code that refuses). A rule with several places has a line for each.
TABLE: dict[str, tuple[Callable[[], set[str]], str]] = {
    "V01": (lambda: of_file(("complete: true", "complete: false")), "agreement.incomplete"),
    "V02": (lambda: raised(one_signature), "statement.invalid"),
    "V02 later": (lambda: of_run("agreement.changed"), "agreement.changed"),
    "V03": (lambda: of_file(("from: 2026-01-01", "from: 2036-01-01")), "agreement.period"),
    "V03 before": (lambda: of_run("agreement.not_yet"), "agreement.not_yet"),
    "V03 after": (lambda: of_run("agreement.expired"), "agreement.expired"),
    "V04": (
        lambda: of_file(("{id: serve_custom_tts, dpv: [", "{id: '*', dpv: [], }\n  - {id: serve_custom_tts, dpv: [")),
        "agreement.purposes_open",
    ),
    "V05": (
        lambda: of_file(("  - {id: optimise, dpv: [ai:SpeechSynthesis, ai:ModelFineTuning]}\n", "")),
        "agreement.dataset_purposes",
    ),
    "V05 at a run": (lambda: of_run("purpose.not_for_dataset"), "purpose.not_for_dataset"),
    "V06": (lambda: of_file(("separate_consent: true", "separate_consent: false")), "agreement.separate_consent"),
    "V07": (
        lambda: of_file(("necessity_and_impact: true", "necessity_and_impact: false")), "agreement.notice_incomplete",
    ),
    "V07 provided": (
        lambda: of_file(("model: entrusted", "model: provided"), ("recipient_named: true", "recipient_named: false")),
        "agreement.notice_incomplete",
    ),
    "V08": (lambda: of_file((ASSESSMENT, "")), "agreement.assessment_missing"),
    "V09": (lambda: of_file(("kept_until: 2036-01-01", "kept_until: 2028-12-31")), "agreement.assessment_kept"),
    "V10": (lambda: of_file((SUBJECTS, SUBJECTS.replace("under_14: 0", "under_14: 1"))), "agreement.guardians"),
    "V11": (lambda: of_run("dataset.not_reviewed"), "dataset.not_reviewed"),
    "V12": (
        lambda: of_file(("retention: {until: 2035-12-31", "retention: {until: 2036-12-31")), "agreement.retention",
    ),
    "V13": (lambda: of_file(("- id: voices", "- id: digits")), "agreement.shared_keys"),
    "V14": (lambda: of_file(("storage: {regions: [EU]}", "storage: {regions: [US]}")), "agreement.storage_region"),
    "V14 at a run": (lambda: of_run("region.storage"), "region.storage"),
    "V15": (lambda: of_run("person.nda_expired"), "person.nda_expired"),
    "V16": (lambda: of_run("person.training_expired"), "person.training_expired"),
    "V17": (lambda: of_run("access.purpose_missing"), "access.purpose_missing"),
    "V18": (lambda: of_run("person.auditor"), "person.auditor"),
    "V19": (lambda: of_file(TRANSFER), "agreement.transfer"),
    "V20": (lambda: of_file(("release_default: deny", "release_default: allow")), "agreement.release_default"),
    "V20 serving": (
        lambda: of_file(("serve_external_default: deny", "serve_external_default: allow")),
        "agreement.release_default",
    ),
    "V21": (lambda: of_file(("default: deny}", "default: allow}")), "agreement.residency_default"),
    "V23 unknown key": (lambda: raised(lambda: of_file((SUBJECTS, SUBJECTS + "\n    colour: red"))), "file.invalid"),
    "V23 duration": (lambda: raised(lambda: of_file(("longest: P1Y", "longest: a year"))), "file.invalid"),
    "V23 offset": (
        lambda: raised(lambda: of_file(("until: 2035-12-31T23:59:59+08:00", "until: 2035-12-31T23:59:59"))),
        "file.invalid",
    ),
    "V24": (
        lambda: raised(lambda: narrowing.open_alone(narrowing.second("max_epsilon: 8.0", "max_epsilon: 9.0"))),
        "agreement.widens",
    ),
    "V25": (lambda: of_file(("answer_within: P15D", "answer_within: P31D")), "agreement.clocks"),
    "V25 Party A first": (
        lambda: of_file(("notify_party_a_within: PT1H", "notify_party_a_within: PT5H")), "agreement.clocks",
    ),
    "V26": (lambda: of_run("dataset.unregistered"), "dataset.unregistered"),
    "V27": (lambda: of_file((SUBJECTS, SUBJECTS.replace("aged_14_17: 0", "aged_14_17: 1"))), "agreement.minors"),
    "V28": (
        lambda: of_file(("dp: {required: false, unit: speaker", "dp: {required: true, unit: utterance")),
        "agreement.privacy_unit",
    ),
    "V29": (lambda: of_file(PROCESSOR), "agreement.subprocessor"),
    "V30": (lambda: of_file(("audit_log_min: P3Y", "audit_log_min: P2Y")), "agreement.records"),
    "V30 network": (lambda: of_file(("network_log_min: P6M", "network_log_min: P5M")), "agreement.records"),
    "R-3.2a-2": (lambda: of_file(("review_every: P92D", "review_every: P1Y")), "agreement.review_every"),
}  # fmt: skip

#: No release can be asked for: there is no route, no command and no register of it, so nothing is released.
NOTHING_TO_REFUSE = {"V22"}


@pytest.mark.parametrize(("attempt", "code"), TABLE.values(), ids=TABLE)
def test_the_rule_and_only_it_refuses(attempt: Callable[[], set[str]], code: str) -> None:
    assert attempt() == {code}


def test_every_rule_of_the_agreement_stands_in_the_table() -> None:
    named = {name.split()[0] for name in TABLE} | NOTHING_TO_REFUSE
    assert {f"V{number:02}" for number in range(1, 31)} <= named
    assert {rule.rule for rule in FILE_RULES} <= named


@pytest.mark.parametrize("rule", FILE_RULES, ids=lambda rule: rule.rule)
def test_a_rule_of_the_file_taken_away_lets_its_case_pass(rule, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt, code = TABLE[rule.rule]
    assert attempt() == {code}
    monkeypatch.setattr("sandbox.policy.soundness.FILE_RULES", tuple(r for r in FILE_RULES if r != rule))
    assert attempt() == set()


def test_the_demo_breaks_no_rule() -> None:
    assert of_file() == set()


def _no_words() -> set[str]:
    """Silence of the agreement: a term that is not written."""
    return raised(lambda: of_file(("residency: {process_in: [EU], ", "residency: {")))


def _unreachable() -> set[str]:
    """A rule whose facts cannot be looked at."""

    def fails(*_: object) -> object:
        raise OSError("the clock is gone")

    asked, facts = cases.run()
    rules = [*RULES, Rule("clock.gone", "x", "x", "x", fails)]  # type: ignore[arg-type]
    return {reason.code for reason in decide(asked, facts, rules).reasons}


def _purpose_of_another() -> set[str]:
    """Access for one purpose is none for another."""
    return of_run("access.purpose_missing")


def _listed_nowhere() -> set[str]:
    found = set()
    for code in (
        "person.unknown",
        "dataset.not_listed",
        "region.processing",
        "recipe.unknown",
        "image.unapproved",
    ):
        found |= of_run(code)
    return found


def _not_true() -> set[str]:
    found = set()
    for code in (
        "consent.not_given",
        "consent.expired",
        "consent.withdrawn",
        "consent.not_own",
        "consent.scope_missing",
    ):
        found |= of_run(code)
    return found


#: "What default-deny means", 1 to 12: what tries it, and every code that refuses.
DENIED: dict[int, tuple[Callable[[], set[str]], set[str]]] = {
    1: (lambda: of_run("agreement.unknown"), {"agreement.unknown"}),
    2: (_no_words, {"file.invalid"}),
    3: (
        _listed_nowhere,
        {"person.unknown", "dataset.not_listed", "region.processing", "recipe.unknown", "image.unapproved"},
    ),
    4: (
        _not_true,
        {
            "consent.not_given",
            "consent.expired",
            "consent.withdrawn",
            "consent.not_own",
            "consent.scope_missing",
        },
    ),
    5: (
        lambda: of_run("subjects.empty") | of_run("subjects.unknown"),
        {"subjects.empty", "subjects.unknown"},
    ),
    6: (lambda: of_run("recipe.revoked"), {"recipe.revoked"}),
    7: (_unreachable, {BROKEN}),
    8: (_purpose_of_another, {"access.purpose_missing"}),
    9: (lambda: of_run("input.tainted") | of_run("input.foreign"), {"input.tainted", "input.foreign"}),
    11: (lambda: of_run("access.expired"), {"access.expired"}),
    12: (lambda: of_file(("complete: true", "complete: false")), {"agreement.incomplete"}),
}


@pytest.mark.parametrize(("attempt", "codes"), DENIED.values(), ids=map(str, DENIED))
def test_what_default_deny_means(attempt: Callable[[], set[str]], codes: set[str]) -> None:
    assert attempt() == codes


def test_every_denial_has_a_code_and_can_be_replayed() -> None:
    """Default deny 10; ``test_replay`` replays each case of each rule."""
    assert {10, *DENIED} == set(range(1, 13))
    for code in cases.CASES:
        decision = decide(*cases.CASES[code]())
        assert all(reason.code and reason.clause for reason in decision.reasons)
        assert len(decision.inputs_digest) == len(decision.rules_digest) == 64


def test_break_glass_lifts_no_rule() -> None:
    """Default deny 11: with an opened access every other rule refuses as before."""
    glass = w.access(id="ac-glass", until="2026-12-01T15:00:00Z", break_glass=True, request="rq-2345")
    for code, changes in {
        "consent.withdrawn": {
            "consent": [w.consent("spk_aa", status="ConsentWithdrawn"), w.consent("spk_bb")]
        },
        "person.training_expired": {
            "people": [
                w.person(training={"course": "c", "valid_until": "2026-11-02"}),
                w.reviewer("b.privacy.1"),
                w.reviewer("b.privacy.2"),
            ]
        },
        "agreement.suspended": {"status": [w.status(status="suspended")]},
    }.items():
        asked, facts = cases.with_registers(access=[glass], **changes)
        assert {reason.code for reason in decide(asked, facts).reasons} == {code}
    asked, facts = cases.with_registers(access=[glass])
    facts = replace(facts, granted_at={"ac-glass": w.NOW})
    assert decide(asked, facts).permitted
    ended = replace(facts, now=w.NOW.replace(hour=15))
    assert {reason.code for reason in decide(asked, ended).reasons} == {"access.expired"}
    other = replace(asked, purpose="test")
    assert "access.purpose_missing" in {reason.code for reason in decide(other, facts).reasons}
