"""The agreement's terms as models: what both parties signed, and nothing of what changes while it runs.

A term that is not written is not allowed. State (who is in, which consent stands) lives in registers. Field by field:
the clauses they encode are named in ``docs/agreement.md`` and in the rules of ``agreement``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sandbox.policy.access_review import EVERY
from sandbox.policy.documents import Model
from sandbox.policy.entries import Purpose, Role
from sandbox.policy.fields import (
    AgreementName,
    DatasetName,
    Day,
    Digest,
    Duration,
    Flag,
    Moment,
    Nothing,
    Number,
    Period,
    PersonName,
    Text,
    Whole,
)

Count = Annotated[Whole, Field(ge=0)]
Positive = Annotated[Whole, Field(ge=1)]
Region = Annotated[Text, Field(pattern=r"^[A-Za-z]{2,4}(-[A-Za-z0-9]{1,8})*$")]
Category = Literal["speech_sample", "text", "user_profile", "voiceprint", "other"]


class SourceDocument(Model):
    """The signed paper that the file encodes."""

    sha256: Digest
    complete: Flag


class Metadata(Model):
    """Which agreement, which version."""

    id: AgreementName
    title: Text
    version: Positive
    supersedes: Annotated[Digest | None, Nothing] = None
    source_document: SourceDocument


class Effective(Model):
    """From when until when it holds."""

    since: Annotated[Moment, Field(alias="from")]
    until: Moment


class Identity(Model):
    type: Text
    value: Text


class Contact(Model):
    name: Text
    email: Annotated[Text, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
    phone: Text


class Approver(Model):
    """A person of Party A who signs releases."""

    id: PersonName
    key: Annotated[Text, Field(pattern=r"^ed25519:")]


class ContactsA(Model):
    notices: Contact
    incidents: Contact
    release_approvers: tuple[Approver, ...] = ()


class ContactsB(Model):
    rights: Contact
    pi_officer: Contact


class PartyA(Model):
    legal_name: Text
    id: Identity
    contacts: ContactsA


class PartyB(Model):
    legal_name: Text
    id: Identity
    contacts: ContactsB


class Parties(Model):
    a: PartyA
    b: PartyB


class Relationship(Model):
    """Entrusted (PIPL 21), provided (PIPL 23) or joint (PIPL 20)."""

    model: Literal["entrusted", "provided", "joint"]
    important_data: Flag
    ciio: Flag


class PurposeTerms(Model):
    id: Text
    dpv: tuple[Text, ...]


class Minors(Model):
    """How many of the data subjects are not adults, and who answers for them."""

    under_14: Count
    aged_14_17: Count
    guardian_registry: Annotated[Text | None, Nothing] = None
    minor_access_approver: Annotated[PersonName | None, Nothing] = None


class LegalBasis(Model):
    type: Literal["consent", "contract", "legal_duty", "other"]
    pipl_article: Text
    separate_consent: Flag


class Notice(Model):
    """What data subjects were told (PIPL 17, 23, 30)."""

    purpose: Flag
    method: Flag
    retention: Flag
    recipient_named: Flag
    necessity_and_impact: Flag
    sha256: Digest


class ImpactAssessment(Model):
    sha256: Digest
    approved_on: Day
    kept_until: Day


class Retention(Model):
    until: Moment
    on_expiry: Literal["destroy", "return"]
    grace: Period


class Storage(Model):
    regions: Annotated[tuple[Region, ...], Field(min_length=1)]


class DatasetTerms(Model):
    """What may be done with one dataset."""

    id: DatasetName
    categories: Annotated[tuple[Category, ...], Field(min_length=1)]
    contains_personal_data: Flag
    form: Literal["electronic", "physical"]
    subjects: Minors
    legal_basis: LegalBasis
    notice_given: Notice
    impact_assessment: Annotated[ImpactAssessment | None, Nothing] = None
    purposes: tuple[Text, ...]
    retention: Retention
    storage: Storage
    intake: Literal["consignment", "direct"] = "consignment"  # direct: the steward seals without two reviews


class AccessTerms(Model):
    """Who may be given access to data at all, and for how long at most (3.2 a)."""

    roles: tuple[Role, ...]
    longest: Period
    review_every: Period = Duration.parse(EVERY)  # how long an access may go without being looked at again


class Subprocessor(Model):
    name: Text
    purposes: tuple[Text, ...]
    approval_sha256: Annotated[Digest | None, Nothing] = None


class Residency(Model):
    process_in: Annotated[tuple[Region, ...], Field(min_length=1)]
    remote_access_from: tuple[Region, ...]
    default: Text


class Transfer(Model):
    """A transfer abroad: a basis of clause 6.2 and a statutory mechanism, separate consent and an assessment."""

    to: Region
    agreement_basis: Literal["a", "b", "c"]
    mechanism: Annotated[
        Literal["security_assessment", "standard_contract", "certification"] | None, Nothing
    ] = None
    separate_consent: Flag = False
    impact_assessment_sha256: Annotated[Digest | None, Nothing] = None
    party_a_approval_sha256: Annotated[Digest | None, Nothing] = None


class PrivacyTerms(Model):
    """Differential privacy: whether it is a must, its unit, and the cap over all runs of a (dataset, subject)."""

    required: Flag
    unit: Literal["speaker", "utterance"]
    reason: Annotated[Text | None, Nothing] = None
    max_epsilon: Annotated[Number, Field(gt=0, le=100)]
    max_delta: Annotated[Number, Field(gt=0, lt=1)]


class Derivatives(Model):
    classification: Literal["party_a_confidential_derivative"]
    inherits_from_sources: Flag
    release_default: Text
    serve_external_default: Text
    confidentiality_until: Text
    on_source_erasure: Literal["quarantine", "retrain_without", "destroy"]
    on_withdrawal: Literal["stop", "replan"]
    dp: PrivacyTerms


class Channels(Model):
    """What may leave besides sealed artifacts and bounded metrics."""

    listen: Flag
    listen_seconds: Count
    mel_images: Flag


class Rights(Model):
    mode: Literal["party_b_direct", "party_b_with_party_a_copy", "party_a_only"]
    acknowledge_within: Period
    answer_within: Period
    statutory_max: Period


class Regulator(Model):
    authority: Text
    trigger: Text
    within: Period


class KillSwitch(Model):
    revoke_credentials_within: Period
    stop_workloads_within: Period


class Incidents(Model):
    draft_within: Period
    notify_party_a_within: Period
    regulator: tuple[Regulator, ...]
    final_report_within: Period
    kill_switch: KillSwitch


class Records(Model):
    audit_log_min: Period
    network_log_min: Period
    entrustment_record_min: Period
    impact_assessment_min: Period


class Audit(Model):
    party_a_right: Flag
    notice: Period
    evidence_pack: Flag
    independent_every: Period


class Termination(Model):
    action: Literal["destroy", "return"]
    within: Period
    certificate: Literal["required"]
    includes: tuple[Literal["source", "process_data", "derivatives", "backups"], ...]


class Terms(Model):
    """One signed version of a data security agreement."""

    api_version: Annotated[Literal["voice-sandbox/v1alpha1"], Field(alias="apiVersion")]
    kind: Literal["DataSecurityAgreement"]
    metadata: Metadata
    effective: Effective
    parties: Parties
    relationship: Relationship
    purposes: tuple[PurposeTerms, ...]
    prohibitions: tuple[Text, ...]
    datasets: tuple[DatasetTerms, ...]
    access: AccessTerms
    subprocessors: tuple[Subprocessor, ...]
    residency: Residency
    transfers: tuple[Transfer, ...]
    derivatives: Derivatives
    channels: Channels
    rights: Rights
    incidents: Incidents
    records: Records
    audit: Audit
    termination: Termination

    @property
    def purpose_ids(self) -> tuple[str, ...]:
        return tuple(purpose.id for purpose in self.purposes)

    def dataset(self, name: str) -> DatasetTerms | None:
        return next((dataset for dataset in self.datasets if dataset.id == name), None)


__all__ = ["DatasetTerms", "Purpose", "Terms"]
