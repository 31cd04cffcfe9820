"""One entry of each register (CONTRACTS, "Registers"): what the custodian writes and the gate reads.

The latest entry of a key wins; ``key`` says which. An unknown field is a refusal, like everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from sandbox.errors import StatementError
from sandbox.policy.documents import Model
from sandbox.policy.fields import (
    AgreementName,
    ConsignmentName,
    DatasetName,
    Digest,
    Flag,
    MomentOrDay,
    Nothing,
    Number,
    PersonName,
    SubjectName,
    Text,
    Whole,
)
from sandbox.policy.review_entries import AccessReviewEntry, ImageEntry, RequestEntry, Words
from sandbox.runs import PURPOSES

Role = Literal["ml_engineer", "data_steward", "privacy_reviewer", "auditor", "operator", "party_a_approver"]
Purpose = Literal["train", "optimise", "test", "evaluate", "serve_custom_tts"]
CONSENT_FLAGS = (
    "process_voice_biometric",
    "ai_synthesis_of_my_voice",
    "recipient_party_b",
    "clone_identifiable_voice",
    "serve_to_third_parties",
    "release_model",
    "commercial_use",
)
ConsentStatus = Literal[
    "ConsentGiven", "ConsentWithdrawn", "ConsentExpired", "ConsentRefused", "ConsentUnknown"
]
assert set(PURPOSES) == set(Purpose.__args__)  # type: ignore[attr-defined]  # noqa: S101 - one closed list, spelled twice for mypy


class Nda(Model):
    """A confidentiality agreement and its end (3.2 g)."""

    expires: MomentOrDay


class Training(Model):
    """A data-security course and its end (3.2 g)."""

    course: Text
    valid_until: MomentOrDay


class PersonEntry(Model):
    """Who somebody is. Roles come from here, never from a token."""

    person: PersonName
    party: Literal["A", "B"]
    roles: tuple[Role, ...]
    nda: Nda
    training: Training
    status: Literal["active", "left"]

    @property
    def key(self) -> str:
        return self.person


class AccessEntry(Model):
    """Person x dataset x purposes x time (3.2 a); with ``minors``, no access but the approval of it (2.4)."""

    id: Annotated[str, Field(pattern=r"^ac-[a-z0-9]{4,16}$")]
    person: PersonName
    dataset: DatasetName
    purposes: Annotated[tuple[Purpose, ...], Field(min_length=1)]
    until: MomentOrDay
    approved_by: PersonName
    status: Literal["active", "revoked"]
    minors: tuple[SubjectName, ...] = ()
    request: Annotated[str | None, Nothing] = None  # the request that it answers
    break_glass: Flag = False  # an emergency, for hours

    @property
    def key(self) -> str:
        return self.id


def _unprefixed(value: object) -> object:
    """``dpv:ConsentGiven`` as ``ConsentGiven``: a record may write the term with its prefix."""
    return value.removeprefix("dpv:") if isinstance(value, str) else value


class CrossBorder(Model):
    """Consent to a transfer abroad, and to whom: one of its own (PIPL 39)."""

    allowed: Flag = False
    recipients: tuple[Text, ...] = ()


class Scope(Model):
    """Each flag is a separate consent; absent is false."""

    process_voice_biometric: Flag = False
    ai_synthesis_of_my_voice: Flag = False
    recipient_party_b: Flag = False
    clone_identifiable_voice: Flag = False
    serve_to_third_parties: Flag = False
    release_model: Flag = False
    commercial_use: Flag = False
    cross_border: CrossBorder = CrossBorder()


class Evidence(Model):
    """The signed paper or recording that a consent rests on; it stays with Party A."""

    sha256: Digest
    signed_by: Literal["subject", "guardian"] = "subject"
    method: Annotated[Text | None, Nothing] = None


class GuardianEvidence(Model):
    """What a guardian's consent rests on (PIPL 31); it stays with Party A."""

    sha256: Digest
    method: Annotated[Text | None, Nothing] = None


class Withdrawal(Model):
    """How the consent can be withdrawn, and when it was."""

    channel: Annotated[Text | None, Nothing] = None
    at: Annotated[MomentOrDay | None, Nothing] = None


class Consent(Model):
    """What one data subject consented to for one dataset (shape of ISO/IEC TS 27560, terms of DPV)."""

    record_id: Annotated[str, Field(pattern=r"^cr-[a-z0-9]{4,16}$")]
    subject: SubjectName
    dataset: DatasetName
    status: Annotated[ConsentStatus, BeforeValidator(_unprefixed)]
    given_at: MomentOrDay
    expires: MomentOrDay
    age_band: Literal["under_14", "14_17", "adult"]
    evidence: Evidence
    scope: Scope
    notice_sha256: Annotated[Digest | None, Nothing] = None
    guardian_evidence: Annotated[GuardianEvidence | None, Nothing] = None
    withdrawal: Withdrawal = Withdrawal()

    @property
    def key(self) -> tuple[str, str]:
        return (self.dataset, self.subject)


class ConsentEntry(Consent):
    """A consent on record. ``imported``: digest of the signed file it came in; None: Party A's person entered it."""

    imported: Annotated[Digest | None, Nothing] = None


class DatasetEntry(Model):
    """One version of a dataset, as sealed."""

    dataset: DatasetName
    version: Annotated[Whole, Field(ge=1)]
    manifest: Digest
    agreement: AgreementName
    agreement_digest: Digest
    subjects: tuple[SubjectName, ...]
    records: Annotated[Whole, Field(ge=0)]
    hours: Annotated[Number, Field(ge=0)]
    region: Text
    retention_until: MomentOrDay
    purposes: tuple[Purpose, ...]
    consignments: tuple[ConsignmentName, ...] = ()
    direct: Flag = True  # some record came without a consignment; where nothing is said, it did

    @property
    def key(self) -> tuple[str, int]:
        return (self.dataset, self.version)


IntakeState = Literal["received", "scanned", "reviewed", "accepted", "rejected", "quarantined"]
ChecklistItem = Literal["own_signature", "ai_synthesis", "chain_of_title", "minors", "notice", "findings"]
CHECKLIST: tuple[ChecklistItem, ...] = ChecklistItem.__args__  # type: ignore[attr-defined]


class Check(Model):
    """One answer of a checklist (R-2.4b); a waiver says why."""

    item: ChecklistItem
    answer: Literal["met", "waived", "not_met"]
    note: Annotated[Text | None, Nothing] = None


class Review(Model):
    """What one reviewer of a consignment found."""

    reviewer: PersonName
    checklist: tuple[Check, ...]


class IntakeEntry(Model):
    """Where a consignment stands, with everything that led there; ``policy.intake`` says what may come next."""

    consignment: ConsignmentName
    number: Annotated[Whole, Field(ge=1)]
    agreement: AgreementName
    dataset: DatasetName
    digest: Digest
    categories: tuple[Text, ...]
    subjects: tuple[SubjectName, ...]
    files: Annotated[Whole, Field(ge=1)]
    size: Annotated[Whole, Field(ge=1)]
    received_by: PersonName
    state: IntakeState
    reviews: tuple[Review, ...] = ()
    reason: Annotated[Text | None, Nothing] = None

    @property
    def key(self) -> str:
        return self.consignment


class StatusEntry(Model):
    """Where an agreement stands, and the two keys pinned for it."""

    agreement: AgreementName
    digest: Digest
    version: Annotated[Whole, Field(ge=1)]
    status: Literal["active", "suspended", "terminated"]
    party_a_key: Annotated[str, Field(pattern=r"^ed25519:[A-Za-z0-9+/]{43}=$")]
    party_b_key: Annotated[str, Field(pattern=r"^ed25519:[A-Za-z0-9+/]{43}=$")]

    @property
    def key(self) -> str:
        return self.agreement


class ErasureEntry(Model):
    """A data subject who asked to be forgotten, and how far it is. From ``asked`` on nothing is admitted.

    From ``destroyed`` on it says by which receipt of the gate, or why without one; at last, which certificate.
    """

    subject: SubjectName
    dataset: DatasetName
    status: Literal["asked", "barred", "destroyed", "certified"]
    receipt: Annotated[Digest | None, Nothing] = None
    without_receipt: Annotated[Text | None, Nothing] = None
    certificate: Annotated[Digest | None, Nothing] = None

    @property
    def key(self) -> tuple[str, str]:
        return (self.dataset, self.subject)


class ApprovalEntry(Model):
    """One reviewer's approval of a recipe's exact bytes for some purposes, or that they may not run any more."""

    recipe: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,47}$")]
    digest: Digest
    reviewer: PersonName
    purposes: tuple[Purpose, ...] = ()
    status: Literal["approved", "withdrawn", "revoked"] = "approved"
    reason: Annotated[Words | None, Nothing] = None

    @property
    def key(self) -> tuple[str, str]:
        return (self.digest, self.reviewer)


Entry = (
    PersonEntry
    | AccessEntry
    | ConsentEntry
    | DatasetEntry
    | StatusEntry
    | ErasureEntry
    | IntakeEntry
    | ApprovalEntry
    | RequestEntry
    | AccessReviewEntry
    | ImageEntry
)

KINDS: Mapping[str, type[Entry]] = {
    "people": PersonEntry,
    "access": AccessEntry,
    "consent": ConsentEntry,
    "dataset": DatasetEntry,
    "status": StatusEntry,
    "erasure": ErasureEntry,
    "intake": IntakeEntry,
    "recipe-approval": ApprovalEntry,
    "access-request": RequestEntry,
    "access-review": AccessReviewEntry,
    "image-approval": ImageEntry,
}


def check_entry(register: str, entry: Mapping[str, Any]) -> Entry:
    """``entry`` as the register's model. Writers call it before they sign, readers after they verified.

    Raises:
        StatementError: no such register, or the entry is not what the register holds; names the fields, not values.
    """
    model = KINDS.get(register)
    if model is None:
        raise StatementError(f"no register is called {register!r}")
    try:
        return model.model_validate(entry)
    except ValidationError as fault:
        fields = sorted({".".join(map(str, error["loc"])) for error in fault.errors(include_url=False)})
        raise StatementError(
            f"an entry of register {register} has wrong fields: {', '.join(fields)}",
            code="register.entry_invalid",
        ) from None
