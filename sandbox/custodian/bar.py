"""Run policies: who of a dataset may be opened for which purpose. Written here, felt by live credentials at once.

A subject is barred for a purpose unless a consent in force covers it; a minor, unless an approval of access stands as
well. A dataset whose agreement is not active, or that may not be kept any more, has no run policy at all, so no
credential can be minted for it and none that lives unwraps anything more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from sandbox.custodian.agreements import load_terms, standing
from sandbox.custodian.desk import Desk
from sandbox.policy import minors
from sandbox.policy.ends import End, of_data
from sandbox.policy.entries import ConsentEntry
from sandbox.policy.fields import moment_or_day
from sandbox.policy.registers import Registers
from sandbox.policy.terms import DatasetTerms, Terms
from sandbox.records import Manifest
from sandbox.runs import PURPOSES

Consents = Mapping[tuple[str, str], ConsentEntry]


def barred(
    dataset: str,
    subjects: Iterable[str],
    purpose: str,
    consents: Consents,
    provided: bool,
    now: datetime,
    approved: Collection[str] = (),
) -> list[str]:
    """Everybody of ``subjects`` without a consent in force for ``purpose``. Absent is no. Pure.

    ``provided``: the agreement's relationship is that of PIPL 23, so Party B must have been consented to as recipient.
    ``approved``: minors whom somebody may hear for this purpose now; for whom, only the gate can tell.
    """
    return sorted(
        subject
        for subject in subjects
        if not _covers(
            consents.get((dataset, subject)),
            purpose,
            provided=provided,
            now=now,
            approved=subject in approved,
        )
    )


def _covers(
    consent: ConsentEntry | None, purpose: str, *, provided: bool, now: datetime, approved: bool
) -> bool:
    if consent is None or consent.status != "ConsentGiven":
        return False
    if not consent.given_at <= now < consent.expires:
        return False
    if minors.lacks_guardian(consent) or (consent.age_band != "adult" and not approved):
        return False
    scope = consent.scope
    needed = [scope.process_voice_biometric, scope.ai_synthesis_of_my_voice]
    if provided:
        needed.append(scope.recipient_party_b)
    if purpose == "serve_custom_tts":
        needed.append(scope.serve_to_third_parties)
    return all(needed)


def refresh_policies(desk: Desk, dataset: str) -> dict[str, list[str]]:
    """Write the run policies of ``dataset`` as the registers say now. Who is barred, by purpose. May repeat."""
    with desk.lock:
        if dataset not in desk.datasets():
            return {}
        manifest = desk.manifest(dataset).manifest
        open_for = _open_purposes(desk, manifest)
        picture = desk.now("consent", "erasure", "access")
        erased = {subject for of, subject in picture.erasures if of == dataset} & set(manifest.subjects)
        found = {}
        for purpose in PURPOSES:
            if purpose not in open_for:
                desk.vault.delete_run_policy(dataset, purpose)
                continue
            provided, approver = open_for[purpose]
            now = desk.clock()
            may = approved(picture, approver, dataset, manifest.subjects, purpose, now)
            out = barred(dataset, manifest.subjects, purpose, picture.consents, provided, now, may)
            found[purpose] = sorted({*out, *erased})
            desk.vault.write_run_policy(dataset, purpose, barred=found[purpose])
        return found


def approved(
    known: Registers, approver: str, dataset: str, subjects: Iterable[str], purpose: str, now: datetime
) -> set[str]:
    """The minors of ``subjects`` whom somebody may hear for ``purpose`` now. Pure."""
    rows = [row for row in known.access.values() if row.minors]
    return {
        subject
        for subject in subjects
        if rows and minors.approvals(rows, known.granted_at, approver, dataset, subject, purpose, now)
    }


def terms_of(desk: Desk, manifest: Manifest) -> tuple[Terms, DatasetTerms] | None:
    """The active agreement of a dataset and what it says of it; None when there is none."""
    entry = standing(desk, manifest.agreement)
    if entry is None or entry.status != "active":
        return None
    terms = load_terms(desk, entry)
    listed = terms.dataset(manifest.dataset)
    return None if listed is None else (terms, listed)


def kept_until(terms: Terms, listed: DatasetTerms, manifest: Manifest) -> End:
    """How long the dataset may be kept, and which promise ends it."""
    told = [moment_or_day(manifest.retention_until), listed.retention.until]
    return of_data(told, terms.effective.until)


def _open_purposes(desk: Desk, manifest: Manifest) -> dict[str, tuple[bool, str]]:
    """Purposes for which runs may exist, whether the data was provided, and who approves access to minors.

    None unless the agreement is active, in force, and lets the dataset be kept.
    """
    found = terms_of(desk, manifest)
    if found is None:
        return {}
    terms, listed = found
    if not terms.effective.since <= desk.clock() < kept_until(terms, listed, manifest).at:
        return {}
    given = (terms.relationship.model == "provided", listed.subjects.minor_access_approver or "")
    return {purpose: given for purpose in manifest.purposes if purpose in listed.purposes}
