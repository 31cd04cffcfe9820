"""A situation staged: the request, and the snapshot that a gate would have gathered for it. Pure.

The facts go through the very ``gather`` of admission, so a case is decided on what a run would be decided on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sandbox.policy.agreement import Agreement
from sandbox.policy.entries import (
    AccessEntry,
    ApprovalEntry,
    ConsentEntry,
    DatasetEntry,
    ErasureEntry,
    Evidence,
    IntakeEntry,
    IntakeState,
    Nda,
    PersonEntry,
    Purpose,
    Review,
    Role,
    Scope,
    StatusEntry,
    Training,
)
from sandbox.policy.facts import Facts, InputFacts, MachineFacts, ManifestFacts, Spend, gather
from sandbox.policy.minors import LONGEST
from sandbox.policy.recipe import Card
from sandbox.policy.registers import Registers
from sandbox.policy.review_entries import ImageEntry
from sandbox.policy.situation import ConsentSaid, Situation, over
from sandbox.runs import Compute, Privacy, Request, utc

YEAR = timedelta(days=365)
RUN_TIME_S = 4 * 3600
RECIPE, INPUT, CONSIGNMENT = "staged", "model", "cs-staged"
REVOKER = ("b.revoker",)
_DIGEST = {
    name: digit * 64
    for name, digit in (("recipe", "b"), ("manifest", "a"), ("paper", "8"), ("model", "c"), ("image", "d"))
}
_KEY = "ed25519:" + "A" * 43 + "="
_STATUS = {
    "given": "ConsentGiven",
    "withdrawn": "ConsentWithdrawn",
    "expired": "ConsentExpired",
    "refused": "ConsentRefused",
    "unknown": "ConsentUnknown",
}


def stage(found: Situation, agreement: Agreement) -> tuple[Request, Facts]:
    """What is asked, and all that is known of it. The situation has no ``faults``; else ValueError."""
    said = (found.date, found.person, found.purpose, found.dataset)
    if said[0] is None or said[1] is None or said[2] is None or said[3] is None:
        raise ValueError("a situation without date, person, purpose or dataset cannot be staged")
    return _Stage(found, agreement, said[0], said[1], said[2], said[3]).facts()


@dataclass(frozen=True)
class _Stage:
    """One situation under one agreement, with what every part of the stage needs of it."""

    said: Situation
    agreement: Agreement
    now: datetime
    person: str
    purpose: Purpose
    dataset: str

    def facts(self) -> tuple[Request, Facts]:
        said, request, sealed = self.said, self._request(), self._sealed()
        standing = said.agreement_status != "none"
        machine = said.processed_in or self.agreement.terms.residency.process_in[0]
        return request, gather(
            request,
            name=self.person,
            now=self.now,
            machine=MachineFacts(machine, RUN_TIME_S),
            registers=self._registers(sealed),
            agreement=self.agreement if standing else None,
            recipe=self._card(),
            manifest=None if said.model else sealed,
            inputs=self._inputs(),
            spending=self._spending(),
            image=_DIGEST["image"],
        )

    def _request(self) -> Request:
        said, asked = self.said, self.said.privacy
        return Request(
            recipe=RECIPE,
            recipe_digest=_DIGEST["recipe"],
            agreement=self.agreement.terms.metadata.id,
            purpose=self.purpose,
            dataset=None if said.model else self.dataset,
            subjects=None,
            inputs={INPUT: said.model} if said.model else {},
            privacy=None
            if asked is None
            else Privacy(asked.unit, asked.epsilon, asked.delta, clip=1.0, sample_rate=0.1),
            compute=Compute(),
            parameters={},
        )

    def _card(self) -> Card:
        said = self.said
        private = said.trains_privately and not said.model
        return Card(
            name=RECIPE,
            summary="staged for a test of the rules",
            purposes=said.recipe_for or (self.purpose,),
            engine="none",
            clones=said.clones,
            dataset="none" if said.model else "required",
            inputs=(INPUT,) if said.model else (),
            dp="supported" if private else "none",
        )

    def _sealed(self) -> ManifestFacts:
        """The dataset as the custodian sealed it: where and until when the agreement says, unless said otherwise."""
        said, terms = self.said, self.agreement.terms
        limits = terms.dataset(self.dataset)
        region = limits.storage.regions[0] if limits else terms.residency.process_in[0]
        until = limits.retention.until if limits else terms.effective.until
        return ManifestFacts(
            dataset=self.dataset,
            version=1,
            digest=_DIGEST["manifest"],
            agreement=terms.metadata.id,
            agreement_digest=self.agreement.digest,
            subjects=said.speakers,
            tombstones=(),
            region=said.stored_in or region,
            retention_until=utc(said.kept_until or until),
            purposes=said.sealed_for if said.sealed_for is not None else (self.purpose,),
        )

    def _inputs(self) -> dict[str, InputFacts]:
        """A model made under this agreement from the voices of all speakers."""
        said = self.said
        if not said.model:
            return {}
        voices = tuple((self.dataset, speaker) for speaker in said.speakers)
        agreements = (self.agreement.terms.metadata.id,)
        return {INPUT: InputFacts(said.model, _DIGEST["model"], agreements, voices, said.tainted or "")}

    def _spending(self) -> tuple[Spend, ...]:
        """Losses simply added up, which is never less than the accountant's composition."""
        said = self.said
        if said.privacy is None:
            return ()
        spent, after = said.epsilon_spent, said.epsilon_spent + said.privacy.epsilon
        return tuple(Spend(self.dataset, speaker, spent, after) for speaker in said.speakers)

    def _registers(self, sealed: ManifestFacts) -> Registers:
        said = self.said
        reviewers = {*said.approved_by, said.image_approved_by or self.person, *REVOKER} - {self.person}
        people = [self._entry(name, ("privacy_reviewer",)) for name in sorted(reviewers)]
        people += [self._entry(self.person, said.roles)] if said.registered else []
        access = self._access()
        entry = DatasetEntry(
            dataset=self.dataset,
            version=1,
            manifest=sealed.digest,
            agreement=sealed.agreement,
            agreement_digest=sealed.agreement_digest,
            subjects=said.speakers,
            records=0,
            hours=0.0,
            region=sealed.region,
            retention_until=said.kept_until or self.now + YEAR,
            purposes=(),
            consignments=() if said.intake == "none" else (CONSIGNMENT,),
            direct=said.intake == "none",
        )
        approvals = [self._approval(name, "approved") for name in said.approved_by]
        approvals += [self._approval(name, "revoked") for name in REVOKER if said.recipe_revoked]
        consents = [row for speaker in said.speakers if (row := self._consent(speaker))]
        erasures = [
            ErasureEntry(subject=speaker, dataset=self.dataset, status="asked") for speaker in said.erased
        ]
        return Registers(
            people={found.key: found for found in people},
            access={row.key: row for row in access},
            consents={row.key: row for row in consents},
            datasets={entry.key: entry},
            statuses=self._statuses(),
            erasures={row.key: row for row in erasures},
            intake={} if said.intake == "none" else {CONSIGNMENT: self._intake(said.intake)},
            approvals={row.key: row for row in approvals},
            granted_at={row.id: self.now if row.minors else said.access_since or self.now for row in access},
            reviewed_at={row.id: said.access_reviewed for row in access if said.access_reviewed},
            images={row.key: row for row in self._images()},
        )

    def _approval(self, name: str, status: Literal["approved", "revoked"]) -> ApprovalEntry:
        said = self.said
        purposes = (self.purpose,) if said.approved_for is None else said.approved_for
        return ApprovalEntry(
            recipe=RECIPE, digest=_DIGEST["recipe"], reviewer=name, purposes=purposes, status=status
        )

    def _images(self) -> list[ImageEntry]:
        name = self.said.image_approved_by
        digest = _DIGEST["image"]
        return [ImageEntry(image=digest, inputs=digest, reviewer=name)] if name else []

    def _intake(self, state: IntakeState) -> IntakeEntry:
        """Where the dataset's one consignment stands; two people reviewed it."""
        reviews = tuple(Review(reviewer=name, checklist=()) for name in ("b.reviewer.1", "b.reviewer.2"))
        return IntakeEntry(
            consignment=CONSIGNMENT,
            number=1,
            agreement=self.agreement.terms.metadata.id,
            dataset=self.dataset,
            digest=_DIGEST["paper"],
            categories=(),
            subjects=self.said.speakers,
            files=1,
            size=1,
            received_by="a.steward",
            state=state,
            reviews=reviews,
        )

    def _statuses(self) -> dict[str, StatusEntry]:
        metadata, standing = self.agreement.terms.metadata, self.said.agreement_status
        if standing == "none":
            return {}
        entry = StatusEntry(
            agreement=metadata.id,
            digest=self.agreement.digest,
            version=metadata.version,
            status=standing,
            party_a_key=_KEY,
            party_b_key=_KEY,
        )
        return {entry.key: entry}

    def _entry(self, name: str, roles: tuple[Role, ...]) -> PersonEntry:
        said, own, later = self.said, name == self.person, self.now + YEAR
        return PersonEntry(
            person=name,
            party="B",
            roles=roles,
            nda=Nda(expires=(said.nda_until if own else None) or later),
            training=Training(
                course="data-security", valid_until=(said.training_until if own else None) or later
            ),
            status="left" if own and said.left else "active",
        )

    def _access(self) -> list[AccessEntry]:
        said = self.said
        purposes = (self.purpose,) if said.access is None else said.access
        if not purposes:
            return self._approvals()
        longest = self.agreement.terms.access.longest
        return [
            AccessEntry(
                id="ac-staged",
                person=self.person,
                dataset=self.dataset,
                purposes=purposes,
                until=said.access_until or longest.after(said.access_since or self.now),
                approved_by=said.access_approved_by,
                status="active",
            ),
            *self._approvals(),
        ]

    def _approvals(self) -> list[AccessEntry]:
        """Access to the minors that the approver of the agreement let this person have."""
        limits = self.agreement.terms.dataset(self.dataset)
        approver = limits.subjects.minor_access_approver if limits else None
        if not self.said.minors_approved or approver is None:
            return []
        return [
            AccessEntry(
                id="ac-minors",
                person=self.person,
                dataset=self.dataset,
                purposes=(self.purpose,),
                until=self.now + LONGEST,
                approved_by=approver,
                status="active",
                minors=self.said.minors_approved,
            )
        ]

    def _consent(self, speaker: str) -> ConsentEntry | None:
        given = over(self.said.consent, self.said.consent_of.get(speaker, ConsentSaid()))
        if given.status == "none":
            return None
        return ConsentEntry.model_validate(
            {
                "record_id": "cr-staged",
                "subject": speaker,
                "dataset": self.dataset,
                "status": _STATUS[given.status],
                "given_at": given.since or self.now - YEAR,
                "expires": given.until or self.now + YEAR,
                "age_band": given.age,
                "evidence": Evidence(sha256=_DIGEST["paper"], signed_by=given.signed_by),
                "scope": Scope.model_validate(dict.fromkeys(given.scope, True)),
                "guardian_evidence": {"sha256": _DIGEST["paper"]} if given.guardian else None,
            }
        )
