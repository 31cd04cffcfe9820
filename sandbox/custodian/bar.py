"""Run policies: who of a dataset may be opened for which purpose. Written here, felt by live credentials at once.

A subject is barred for a purpose unless a consent in force covers it. A dataset whose agreement is not active has no
run policy at all, so no credential can be minted for it and none that lives unwraps anything more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sandbox.custodian.agreements import load_terms, standing
from sandbox.custodian.desk import Desk
from sandbox.policy.entries import ConsentEntry
from sandbox.records import Manifest
from sandbox.runs import PURPOSES

Consents = Mapping[tuple[str, str], ConsentEntry]


def barred(
    dataset: str, subjects: Iterable[str], purpose: str, consents: Consents, provided: bool, now: datetime
) -> list[str]:
    """Everybody of ``subjects`` without a consent in force for ``purpose``. Absent is no. Pure.

    ``provided``: the agreement's relationship is that of PIPL 23, so Party B must have been consented to as recipient.
    """
    return sorted(
        subject
        for subject in subjects
        if not _covers(consents.get((dataset, subject)), purpose, provided=provided, now=now)
    )


def _covers(consent: ConsentEntry | None, purpose: str, *, provided: bool, now: datetime) -> bool:
    if consent is None or consent.status != "ConsentGiven":
        return False
    if not consent.given_at <= now < consent.expires:
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
        picture = desk.now("consent", "erasure")
        erased = {subject for of, subject in picture.erasures if of == dataset} & set(manifest.subjects)
        found = {}
        for purpose in PURPOSES:
            if purpose not in open_for:
                desk.vault.delete_run_policy(dataset, purpose)
                continue
            provided = open_for[purpose]
            out = barred(dataset, manifest.subjects, purpose, picture.consents, provided, desk.clock())
            found[purpose] = sorted({*out, *erased})
            desk.vault.write_run_policy(dataset, purpose, barred=found[purpose])
        return found


def _open_purposes(desk: Desk, manifest: Manifest) -> dict[str, bool]:
    """Purposes for which runs may exist, and whether the data was provided; none unless the agreement is active."""
    entry = standing(desk, manifest.agreement)
    if entry is None or entry.status != "active":
        return {}
    terms = load_terms(desk, entry)
    listed = terms.dataset(manifest.dataset)
    if listed is None:
        return {}
    provided = terms.relationship.model == "provided"
    return {purpose: provided for purpose in manifest.purposes if purpose in listed.purposes}
