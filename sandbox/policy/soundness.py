"""What the terms of an agreement must be before it is activated: rules V01..V30, as far as the file alone can tell.

Each rule is one small function that yields every finding. Rules that need registers or a clock stand with the decision;
V02 and V24 are the two signatures, V23 is the reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sandbox.errors import Reason, Refused
from sandbox.policy.access_review import EVERY
from sandbox.policy.fields import Duration
from sandbox.policy.places import inside
from sandbox.policy.terms import DatasetTerms, Terms
from sandbox.runs import PURPOSES

Finding = tuple[str, str]  # what it is about, and why


@dataclass(frozen=True)
class FileRule:
    """One rule over the file: ``check`` yields every finding, nothing when it is kept."""

    rule: str
    code: str
    clause: str
    cause: str
    mend: str
    check: Callable[[Terms], Iterator[Finding]]


def check_terms(terms: Terms) -> tuple[Reason, ...]:
    """Every fault of the file, in the order of the rules; empty when it may be activated."""
    return tuple(
        Reason(rule.code, about, why, rule.mend, f"{rule.clause} ({rule.rule})")
        for rule in FILE_RULES
        for about, why in rule.check(terms)
    )


def require_sound(terms: Terms) -> None:
    """Raises Refused with all findings."""
    if reasons := check_terms(terms):
        raise Refused(
            f"agreement {terms.metadata.id} v{terms.metadata.version} cannot be activated",
            reasons=reasons,
            code="agreement.unsound",
        )


def _v01(terms: Terms) -> Iterator[Finding]:
    if not terms.metadata.source_document.complete:
        yield terms.metadata.id, "the signed document that it encodes is not complete"


def _v03(terms: Terms) -> Iterator[Finding]:
    if terms.effective.since >= terms.effective.until:
        yield terms.metadata.id, "it ends before it begins"


def _v04(terms: Terms) -> Iterator[Finding]:
    if not terms.purpose_ids:
        yield "purposes", "the list is empty"
    for purpose in terms.purpose_ids:
        if purpose not in PURPOSES:
            yield f"purposes {purpose}", f"the closed list is {', '.join(PURPOSES)}"
        elif terms.purpose_ids.count(purpose) > 1:
            yield f"purposes {purpose}", "it stands twice"


def _v05(terms: Terms) -> Iterator[Finding]:
    for dataset in terms.datasets:
        if not dataset.purposes:
            yield dataset.id, "no purpose is listed"
        for purpose in dataset.purposes:
            if purpose not in terms.purpose_ids:
                yield dataset.id, f"{purpose} is no purpose of the agreement"


def _voice(dataset: DatasetTerms) -> bool:
    return bool({"speech_sample", "voiceprint"} & set(dataset.categories))


def _v06(terms: Terms) -> Iterator[Finding]:
    for dataset in terms.datasets:
        basis = dataset.legal_basis
        if _voice(dataset) and basis.type == "consent" and not basis.separate_consent:
            yield dataset.id, "a voice is sensitive: consent to it is a separate one"


def _v07(terms: Terms) -> Iterator[Finding]:
    for dataset in terms.datasets:
        notice = dataset.notice_given
        for field in ("purpose", "method", "retention", "necessity_and_impact"):
            if not getattr(notice, field):
                yield dataset.id, f"data subjects were not told: {field}"
        if terms.relationship.model == "provided" and not notice.recipient_named:
            yield dataset.id, "data is provided, and the recipient was not named"


def _v08(terms: Terms) -> Iterator[Finding]:
    for dataset in terms.datasets:
        if dataset.contains_personal_data and dataset.impact_assessment is None:
            yield dataset.id, "there is no impact assessment"


def _v09(terms: Terms) -> Iterator[Finding]:
    for dataset in terms.datasets:
        found = dataset.impact_assessment
        if found is None:
            continue
        approved = found.approved_on
        try:
            needed = approved.replace(year=approved.year + 3)
        except ValueError:  # the 29th of February
            needed = approved.replace(year=approved.year + 3, month=3, day=1)
        if found.kept_until < needed:
            yield dataset.id, f"its impact assessment is kept until {found.kept_until}, needed {needed}"


def _v10(terms: Terms) -> Iterator[Finding]:
    for dataset in terms.datasets:
        if dataset.subjects.under_14 and not dataset.subjects.guardian_registry:
            yield dataset.id, "children under 14, and no registry of their guardians"


def _v12(terms: Terms) -> Iterator[Finding]:
    for dataset in terms.datasets:
        if dataset.retention.until > terms.effective.until:
            yield dataset.id, "kept longer than the agreement lasts"


def _v13(terms: Terms) -> Iterator[Finding]:
    names = [dataset.id for dataset in terms.datasets]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield name, "two datasets of one name would share the keys of their subjects"


def _v14(terms: Terms) -> Iterator[Finding]:
    for dataset in terms.datasets:
        for region in dataset.storage.regions:
            if not any(inside(region, allowed) for allowed in terms.residency.process_in):
                yield dataset.id, f"stored in {region}, outside {', '.join(terms.residency.process_in)}"


def _v19(terms: Terms) -> Iterator[Finding]:
    for transfer in terms.transfers:
        missing = [
            name
            for name, given in (
                ("a statutory mechanism", transfer.mechanism),
                ("separate consent", transfer.separate_consent),
                ("an impact assessment", transfer.impact_assessment_sha256),
                ("Party A's approval", transfer.party_a_approval_sha256),
            )
            if not given
        ]
        if missing:
            yield f"transfer to {transfer.to}", f"lacks {', '.join(missing)}"


def _v20(terms: Terms) -> Iterator[Finding]:
    found = terms.derivatives
    for field in ("release_default", "serve_external_default"):
        if getattr(found, field) != "deny":
            yield f"derivatives.{field}", "only deny can be the default"
    if not found.inherits_from_sources:
        yield "derivatives.inherits_from_sources", "a result is as confidential as its sources"


def _v21(terms: Terms) -> Iterator[Finding]:
    if terms.residency.default != "deny":
        yield "residency.default", "only deny can be the default"


def _v25(terms: Terms) -> Iterator[Finding]:
    rights, incidents = terms.rights, terms.incidents
    if rights.answer_within.nominal_s > rights.statutory_max.nominal_s:
        yield "rights.answer_within", f"{rights.answer_within.text} is over {rights.statutory_max.text}"
    for regulator in incidents.regulator:
        if incidents.notify_party_a_within.nominal_s > regulator.within.nominal_s:
            yield "incidents.notify_party_a_within", f"Party A would hear after {regulator.authority}"


def _v27(terms: Terms) -> Iterator[Finding]:
    for dataset in terms.datasets:
        if dataset.subjects.aged_14_17 and not dataset.subjects.minor_access_approver:
            yield dataset.id, "minors of 14 to 17, and nobody approves access to them"


def _v28(terms: Terms) -> Iterator[Finding]:
    dp = terms.derivatives.dp
    if dp.required and dp.unit != "speaker" and not dp.reason:
        yield "derivatives.dp.unit", "the unit is not the speaker, and no reason is stated"


def _v29(terms: Terms) -> Iterator[Finding]:
    for processor in terms.subprocessors:
        if not processor.approval_sha256:
            yield processor.name, "Party A's approval is not named"
        for purpose in processor.purposes:
            if purpose not in terms.purpose_ids:
                yield processor.name, f"{purpose} is no purpose of the agreement"


def _shorter(found: Duration, least: str) -> bool:
    return found.nominal_s < Duration.parse(least).nominal_s


def _v30(terms: Terms) -> Iterator[Finding]:
    if _shorter(terms.records.audit_log_min, "P3Y"):
        yield "records.audit_log_min", f"{terms.records.audit_log_min.text} is under P3Y"
    if _shorter(terms.records.network_log_min, "P6M"):
        yield "records.network_log_min", f"{terms.records.network_log_min.text} is under P6M"


def _review_every(terms: Terms) -> Iterator[Finding]:
    every = terms.access.review_every
    if not 0 < every.nominal_s <= Duration.parse(EVERY).nominal_s:
        yield "access.review_every", f"{every.text} is no time from PT1S to {EVERY}"


FILE_RULES: tuple[FileRule, ...] = (
    FileRule(
        "V01", "agreement.incomplete", "1.1-6.2", "The file encodes a text that was received cut off.",
        "obtain the complete signed text and encode it", _v01,
    ),
    FileRule(
        "V03", "agreement.period", "I-3", "The agreement's end lies before its beginning.",
        "mend effective.from and effective.until", _v03,
    ),
    FileRule(
        "V04", "agreement.purposes_open", "4.1, 4.2; PIPL 6", "Purposes are a closed list without wildcards.",
        "name only purposes of the closed list, each once", _v04,
    ),
    FileRule(
        "V05", "agreement.dataset_purposes", "4.1; PIPL 6", "A dataset lists a purpose that the agreement does not.",
        "drop the purpose, or agree on it in a new version", _v05,
    ),
    FileRule(
        "V06", "agreement.separate_consent", "2.3; PIPL 29", "Voices rest on consent that is not a separate one.",
        "obtain separate consent and set legal_basis.separate_consent", _v06,
    ),
    FileRule(
        "V07", "agreement.notice_incomplete", "2.3; PIPL 17, 23, 30", "Data subjects were not told all they must be.",
        "complete the notice and set the field", _v07,
    ),
    FileRule(
        "V08", "agreement.assessment_missing", "2.4; PIPL 55", "Personal data without an impact assessment.",
        "carry out the assessment and name its digest", _v08,
    ),
    FileRule(
        "V09", "agreement.assessment_kept", "2.4; PIPL 56", "The impact assessment is kept for under three years.",
        "keep it for three years or more", _v09,
    ),
    FileRule(
        "V10", "agreement.guardians", "2.3; PIPL 31", "Children under 14 without a registry of guardians.",
        "name subjects.guardian_registry, or take the children out", _v10,
    ),
    FileRule(
        "V12", "agreement.retention", "2.3; PIPL 19, 21", "A dataset would be kept after the agreement's end.",
        "let retention.until be no later than effective.until", _v12,
    ),
    FileRule(
        "V13", "agreement.shared_keys", "3.2(b)", "Two datasets would share keys.",
        "give every dataset its own id", _v13,
    ),
    FileRule(
        "V14", "agreement.storage_region", "6.1", "Data would be stored outside its residency.",
        "store it inside residency.process_in", _v14,
    ),
    FileRule(
        "V19", "agreement.transfer", "6.2; PIPL 38, 39, 55", "A transfer abroad lacks what the law asks for.",
        "take the transfer out, or complete it", _v19,
    ),
    FileRule(
        "V20", "agreement.release_default", "3.3", "Results would be released or served unless denied.",
        "write deny; a release is a signed consent of its own", _v20,
    ),
    FileRule(
        "V21", "agreement.residency_default", "6.2", "Regions that are not listed would be allowed.",
        "write residency.default: deny", _v21,
    ),
    FileRule(
        "V25", "agreement.clocks", "3.5, 5.2", "A clock runs longer than the law or Party A allows.",
        "shorten the clock", _v25,
    ),
    FileRule(
        "V27", "agreement.minors", "2.3; Minors Regulations 36", "Minors without an approver of access.",
        "name subjects.minor_access_approver", _v27,
    ),
    FileRule(
        "V28", "agreement.privacy_unit", "3.2(c)", "Differential privacy is required for a unit that is no person.",
        "let the unit be speaker, or state dp.reason", _v28,
    ),
    FileRule(
        "V29", "agreement.subprocessor", "I-6; PIPL 21(3)", "A sub-processor without Party A's approval, or beyond it.",
        "name the approval's digest and purposes within the agreement's", _v29,
    ),
    FileRule(
        "V30", "agreement.records", "3.2(d); PIPL 56, CSL 23", "Records would be kept too short.",
        "keep the audit log P3Y and the network log P6M at least", _v30,
    ),
    FileRule(
        "R-3.2a-2", "agreement.review_every", "3.2(a)", "Accesses would be reviewed less than once a quarter.",
        f"write access.review_every: {EVERY} or less, or leave it out", _review_every,
    ),
)  # fmt: skip
