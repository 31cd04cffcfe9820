"""For each rule of a decision one world in which it, and only it, refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sandbox.policy.agreement import Agreement
from sandbox.policy.facts import Facts, InputFacts, MachineFacts, Spend
from sandbox.runs import Compute, Kind, Privacy, Request
from sandbox.statements import sha256
from tests.policy import world as w

World = tuple[Request, Facts]


def run(asked: Request | None = None, **changes: Any) -> World:
    asked = asked or w.request()
    return asked, w.facts(asked, **changes)


def with_registers(**changes: Any) -> World:
    return run(registers=w.registers(**changes))


def people(**changes: Any) -> World:
    others = [w.reviewer("b.privacy.1"), w.reviewer("b.privacy.2")]
    return with_registers(people=[w.person(**changes), *others])


def access(**changes: Any) -> World:
    return with_registers(access=[w.access(**changes)])


def consents(scope: dict[str, bool] | None = None, **changes: Any) -> World:
    return with_registers(consent=[w.consent("spk_aa", scope, **changes), w.consent("spk_bb")])


def minor(age_band: str, *, guardian: bool = False, **approval: Any) -> World:
    """A minor speaks, and the approver whom the agreement names approved this person's access until tomorrow."""
    old, new = "aged_14_17: 0}", "aged_14_17: 0, minor_access_approver: a.approver.9}"
    text = w.DEMO.decode().replace(old, new, 1).encode()
    digest = sha256(text)
    row = {
        "id": "ac-minor",
        "minors": ["spk_aa"],
        "purposes": ["train"],
        "until": "2026-12-02T09:00:00+08:00",
    }
    row = w.access(**{**row, "approved_by": "a.approver.9", **approval})
    evidence = {"sha256": "9" * 64} if guardian else None
    known = w.registers(
        status=[w.status(digest=digest)],
        dataset=[w.dataset(agreement_digest=digest)],
        consent=[w.consent("spk_aa", age_band=age_band, guardian_evidence=evidence), w.consent("spk_bb")],
        access=[w.access(), row],
    )
    known = replace(known, granted_at={**known.granted_at, "ac-minor": datetime(2026, 12, 1, 2, tzinfo=UTC)})
    return run(
        agreement=Agreement(w.terms(old, new), digest),
        registers=known,
        manifest=w.manifest(agreement_digest=digest),
    )


def abroad(**scope: Any) -> World:
    """The agreement lets a machine in China process what lies in the EU; nobody but spk_bb was asked."""
    old, new = "process_in: [EU]", "process_in: [EU, CN]"
    digest = sha256(w.DEMO.decode().replace(old, new, 1).encode())
    known = w.registers(
        status=[w.status(digest=digest)],
        dataset=[w.dataset(agreement_digest=digest)],
        consent=[
            w.consent("spk_aa", {"cross_border": scope} if scope else None),
            w.consent("spk_bb", {"cross_border": {"allowed": True, "recipients": ["CN"]}}),
        ],
    )
    return run(
        agreement=Agreement(w.terms(old, new), digest),
        registers=known,
        manifest=w.manifest(agreement_digest=digest),
        machine=_machine(region="cn-ah"),
    )


def signed(old: str, new: str, **changes: Any) -> World:
    """The agreement says something else, and everything else knows it."""
    text = w.DEMO.decode().replace(old, new, 1).encode()
    assert text != w.DEMO
    digest = sha256(text)
    registers = w.registers(status=[w.status(digest=digest)], dataset=[w.dataset(agreement_digest=digest)])
    return run(
        agreement=Agreement(w.terms(old, new), digest),
        registers=registers,
        manifest=w.manifest(agreement_digest=digest),
        **changes,
    )


def at(moment: datetime) -> World:
    return run(now=moment)


def sealed(registered: dict[str, Any] | None = None, **changes: Any) -> World:
    """The manifest and its register entry say something else."""
    known = {name: value for name, value in changes.items() if name not in ("digest", "tombstones")}
    entry = w.dataset(**{**known, **(registered or {})})
    return run(manifest=w.manifest(**changes), registers=w.registers(dataset=[entry]))


def evaluation(asked: Request | None = None, **changes: Any) -> World:
    asked = asked or w.evaluation()
    return asked, w.evaluation_facts(asked, **changes)


def importing(**changes: Any) -> World:
    """A published file, with its papers, for a recipe that takes one."""
    papers = {"licence": "MPL-2.0", "source": "https://example.org/v.pth"}
    asked = w.request(
        **{
            "purpose": "optimise",
            "dataset": None,
            "inputs": {"file": f"sha256:{w.MODEL}"},
            "parameters": papers,
            **changes,
        }
    )
    file = InputFacts(f"sha256:{w.MODEL}", w.MODEL, (), (), public=True)
    card = w.card(dataset="none", dp="none", inputs=("file", "config"), purposes=("optimise",))
    return asked, w.facts(asked, recipe=card, inputs={"file": file})


def tuning(model: InputFacts | None = None, **changes: Any) -> World:
    """A training that starts from a model."""
    asked = w.request(**{"purpose": "optimise", "inputs": {"base": "digits@1"}, **changes})
    card = w.card(inputs=("resume", "base"), purposes=("train", "optimise"))
    return asked, w.facts(asked, recipe=card, inputs={"base": model or w.model()})


def private(privacy: Privacy = w.PRIVATE, **changes: Any) -> World:
    return run(w.request(privacy=privacy), **{"spending": w.SPENT, **changes})


def dry(**changes: Any) -> World:
    asked = w.request(kind=Kind.DRY, dataset=None, **changes)
    machine = replace(w.MACHINE, public_digest="e" * 64)
    return asked, w.facts(asked, machine=machine, agreement=None, manifest=None)


def _dry_without_public() -> World:
    asked, facts = dry()
    return asked, replace(facts, machine=w.MACHINE)


def _other_manifest() -> World:
    asked = w.request(dataset="digits@7")
    return asked, w.facts(asked, manifest=None)


def _machine(**changes: Any) -> MachineFacts:
    return replace(w.MACHINE, **changes)


def _stranger() -> World:
    """Asked for, consented to, but not in the manifest."""
    asked = w.request(subjects=("spk_zz",))
    registers = w.registers(consent=[w.consent("spk_zz")])
    return asked, w.facts(asked, registers=registers)


def _dry_sealed() -> World:
    asked, facts = dry()
    return replace(asked, dataset="digits"), facts


CASES: dict[str, Callable[[], World]] = {
    "agreement.unknown": lambda: run(agreement=None),
    "agreement.changed": lambda: with_registers(status=[w.status(digest="f" * 64)]),
    "agreement.incomplete": lambda: signed("complete: true", "complete: false"),
    "agreement.suspended": lambda: with_registers(status=[w.status(status="suspended")]),
    "agreement.terminated": lambda: with_registers(status=[w.status(status="terminated")]),
    "agreement.not_yet": lambda: signed("from: 2026-01-01", "from: 2026-12-02"),
    "agreement.expired": lambda: signed("until: 2035-12-31", "until: 2026-11-30"),
    "person.unknown": lambda: with_registers(people=[w.reviewer("b.privacy.1"), w.reviewer("b.privacy.2")]),
    "person.left": lambda: people(status="left"),
    "person.role_missing": lambda: people(roles=["operator"]),
    "person.nda_expired": lambda: people(nda={"expires": "2026-12-01T12:00:00Z"}),
    "person.training_expired": lambda: people(training={"course": "c", "valid_until": "2026-12-01"}),
    "person.auditor": lambda: people(roles=["ml_engineer", "auditor"]),
    "access.missing": lambda: access(status="revoked"),
    "access.purpose_missing": lambda: access(purposes=["test"]),
    "access.expired": lambda: access(until="2026-12-01T12:00:00Z"),
    "access.self_approved": lambda: access(approved_by="eng.li"),
    "access.too_long": lambda: access(until="2027-11-02"),
    "access.review_overdue": lambda: signed("review_every: P92D", "review_every: P7D"),
    "purpose.unknown": lambda: signed("  - {id: train, dpv: [ai:SpeechSynthesis, ai:ModelTraining]}\n", ""),
    "purpose.not_for_dataset": lambda: signed(
        "purposes: [train, optimise, test, evaluate]", "purposes: [test, evaluate]"
    ),
    "purpose.not_sealed_for": lambda: sealed(purposes=("evaluate",)),
    "recipe.unknown": lambda: run(w.request(recipe="digit")),
    "recipe.purpose": lambda: run(recipe=w.card(purposes=("evaluate",))),
    "recipe.unapproved": lambda: with_registers(recipe_approval=[w.approval("b.privacy.1")]),
    "recipe.revoked": lambda: with_registers(
        recipe_approval=[
            w.approval("b.privacy.1"),
            w.approval("b.privacy.2"),
            w.approval("b.gone", status="revoked", reason="it reads the keeper"),
        ]
    ),
    "image.unapproved": lambda: with_registers(image_approval=[w.image(status="revoked")]),
    "dataset.needed": lambda: evaluation(recipe=w.card(inputs=("model",))),
    "dataset.unexpected": lambda: run(recipe=w.card(dataset="none", dp="none")),
    "dataset.unknown": _other_manifest,
    "dataset.unregistered": lambda: sealed({"subjects": ["spk_aa"]}),
    "dataset.not_reviewed": lambda: signed("    intake: direct\n", ""),
    "dataset.not_listed": lambda: signed("- id: digits", "- id: other"),
    "dataset.foreign": lambda: sealed(agreement="dsa-2026-0002"),
    "dataset.agreement_outdated": lambda: sealed(agreement_digest="f" * 64),
    "dataset.expired": lambda: sealed(retention_until="2026-12-01"),
    "subjects.empty": lambda: run(w.request(subjects=())),
    "subjects.unknown": _stranger,
    "subject.erased": lambda: with_registers(
        erasure=[{"subject": "spk_aa", "dataset": "digits", "status": "asked"}]
    ),
    "input.unexpected": lambda: evaluation(
        recipe=w.card(dataset="none", dp="none", inputs=("model", "voice"))
    ),
    "input.unknown": lambda: evaluation(inputs={"model": w.model(model="digits@2")}),
    "input.tainted": lambda: evaluation(inputs={"model": w.model(taint="spk_aa was erased")}),
    "input.withdrawn": lambda: evaluation(inputs={"model": w.model(withdrawn="digits/spk_aa")}),
    "input.foreign": lambda: evaluation(inputs={"model": w.model(agreements=(w.AGREEMENT, "dsa-2026-0002"))}),
    "input.public_file": lambda: importing(parameters={"source": "https://example.org/v.pth"}),
    "input.fine_tuning": lambda: tuning(purpose="train"),
    "consent.missing": lambda: with_registers(consent=[w.consent("spk_aa")]),
    "consent.withdrawn": lambda: consents(status="ConsentWithdrawn"),
    "consent.not_given": lambda: consents(status="ConsentUnknown"),
    "consent.expired": lambda: consents(expires="2026-12-01T12:00:00Z"),
    "consent.not_yet": lambda: consents(given_at="2026-12-02"),
    "consent.scope_missing": lambda: consents({"ai_synthesis_of_my_voice": False}),
    "subject.minor": lambda: consents(age_band="14_17"),
    "consent.guardian_missing": lambda: minor("under_14"),
    "consent.not_own": lambda: consents(evidence={"sha256": "8" * 64, "signed_by": "guardian"}),
    "region.processing": lambda: run(machine=_machine(region="us-east")),
    "region.storage": lambda: sealed(region="CN-AH"),
    "consent.cross_border": abroad,
    "privacy.required": lambda: signed("dp: {required: false", "dp: {required: true"),
    "privacy.unit": lambda: private(replace(w.PRIVATE, unit="utterance")),
    "privacy.unsupported": lambda: private(recipe=w.card(dp="none")),
    "privacy.epsilon": lambda: private(replace(w.PRIVATE, epsilon=8.1)),
    "privacy.delta": lambda: private(replace(w.PRIVATE, delta=1e-4)),
    "budget.unknown": lambda: private(spending=w.SPENT[:1]),
    "budget.exhausted": lambda: private(spending=(w.SPENT[0], Spend("digits", "spk_bb", 7.6, 9.7))),
    "compute.time_limit": lambda: run(w.request(compute=Compute(time_limit_s=14401))),
    "compute.busy": lambda: run(machine=_machine(live_runs=2)),
    "dry_run.sealed": _dry_sealed,
    "dry_run.no_public_set": _dry_without_public,
}

LATER = datetime(2026, 12, 1, 12, 0, 1, tzinfo=UTC)
