"""Everything that the custodian holds about one pseudonym, as a statement of its own (R-5.2, PIPL 45).

Records by id and length, never what is said in them: the custodian may not open a voice. Nobody else stands here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sandbox.custodian.consent_history import history, stands
from sandbox.custodian.desk import Desk
from sandbox.custodian.people import APPROVER, STEWARD, require
from sandbox.errors import NotFound
from sandbox.policy.entries import AccessEntry, DatasetEntry, ErasureEntry, IntakeEntry
from sandbox.policy.registers import Posting
from sandbox.records import IndexRow, check_id
from sandbox.runs import utc
from sandbox.sealing.previous import open_previous
from sandbox.service import journal
from sandbox.statements import canonical_json, sha256, sign_statement

STATEMENT = "subject-report"
MAY = (APPROVER, STEWARD, "privacy_reviewer")
STEP = ("consignment", "number", "agreement", "dataset", "digest", "state", "by", "entered")


def report(desk: Desk, caller: str, subject: str) -> dict[str, Any]:
    """``{"statement": …}``, signed. Raises NotFound when nothing here is of that person."""
    require(desk, caller, *MAY)
    fact = {"by": "custodian", "at": utc(desk.clock()), **facts(desk, check_id("subject", subject))}
    if not any(fact[name] for name in ("datasets", "consents", "erasures", "consignments")):
        raise NotFound(f"nothing here is of {subject}", code="subject.unknown")
    named = [(subject, sha256(canonical_json(fact)))]
    journal.say("subject.reported", person=caller)
    return {"statement": sign_statement(STATEMENT, named, fact, [desk.signer]).decode()}


def facts(desk: Desk, subject: str) -> dict[str, Any]:
    """Datasets with records, consents with their history, approvals of access, erasures, consignments."""
    known = desk.now("consent").consents
    return {
        "subject": subject,
        "datasets": list(_datasets(desk, subject)),
        "consents": history(desk, subject),
        "stands": [stands(desk, entry) for (_, name), entry in sorted(known.items()) if name == subject],
        "approvals": [_said(p, minors=[subject]) for p in _about(desk, "access", subject)],
        "erasures": [_said(p) for p in _about(desk, "erasure", subject)],
        "consignments": list(_consignments(desk, subject)),
        "not_here": "recordings and transcripts: they are sealed, and the custodian may open none",
    }


def _datasets(desk: Desk, subject: str) -> Iterator[dict[str, Any]]:
    versions: dict[str, list[DatasetEntry]] = {}
    for posting in desk.registers.entries("dataset"):
        if isinstance(posting.entry, DatasetEntry) and subject in posting.entry.subjects:
            versions.setdefault(posting.entry.dataset, []).append(posting.entry)
    for dataset, found in sorted(versions.items()):
        now = desk.manifest(dataset).manifest
        records = list(_records(desk, dataset, subject)) if subject in now.subjects else []
        yield {
            "dataset": dataset,
            "agreement": now.agreement,
            "region": now.region,
            "purposes": list(now.purposes),
            "kept_until": now.retention_until,
            "versions": [{"version": entry.version, "manifest": entry.manifest} for entry in found],
            "erased": subject in now.tombstones,
            "records": records,
        }


def _consignments(desk: Desk, subject: str) -> Iterator[dict[str, Any]]:
    """Every step of those whose letter names the person; what reviewers wrote is about all in it, and stays out."""
    for posting in desk.registers.entries("intake"):
        if isinstance(posting.entry, IntakeEntry) and subject in posting.entry.subjects:
            said = _said(posting)
            yield {name: said[name] for name in STEP}


def _records(desk: Desk, dataset: str, subject: str) -> Iterator[dict[str, Any]]:
    hands = desk.hands(dataset)
    rows = open_previous(desk.folder(dataset), dataset, hands.head, hands.keys, hands.trusted).rows
    for row in rows.where(rows.of_subjects([subject])):
        yield _record(row)


def _record(row: IndexRow) -> dict[str, Any]:
    return {
        "record": row.record,
        "revision": row.revision,
        "sealed_bytes": row.length,
        "milliseconds": row.samples * 1000 // row.sample_rate,
        "characters": row.characters,
        "language": row.language,
    }


def _about(desk: Desk, register: str, subject: str) -> Iterator[Posting]:
    for posting in desk.registers.entries(register):
        entry = posting.entry
        if (isinstance(entry, ErasureEntry) and entry.subject == subject) or (
            isinstance(entry, AccessEntry) and subject in entry.minors
        ):
            yield posting


def _said(posting: Posting, **instead: Any) -> dict[str, Any]:
    told = {"by": posting.by, "entered": utc(posting.at), "digest": posting.digest}
    return {**posting.entry.model_dump(mode="json"), **instead, **told}
