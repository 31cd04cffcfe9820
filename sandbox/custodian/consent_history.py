"""All that a data subject ever consented to, with who entered it, when, and the digest of the entry that says so."""

from __future__ import annotations

from typing import Any

from sandbox.custodian.bar import kept_until, terms_of
from sandbox.custodian.desk import Desk
from sandbox.custodian.people import require
from sandbox.custodian.reads import REVIEWERS
from sandbox.errors import NotFound
from sandbox.policy.ends import of_voice
from sandbox.policy.entries import ConsentEntry
from sandbox.records import check_id
from sandbox.runs import utc


def show(desk: Desk, caller: str, subject: str, dataset: str = "") -> dict[str, Any]:
    """The whole history, oldest first, and of each dataset until when it stands and why. Raises NotFound."""
    require(desk, caller, *REVIEWERS)
    found = history(desk, check_id("subject", subject), dataset)
    if not found:
        raise NotFound(
            f"{subject} has no consent on record", code="consent.unknown", mend="sandbox consent list"
        )
    known = desk.now("consent").consents
    names = sorted({str(one["dataset"]) for one in found})
    return {
        "subject": subject,
        "items": found,
        "stands": [stands(desk, known[name, subject]) for name in names],
    }


def history(desk: Desk, subject: str, dataset: str = "") -> list[dict[str, Any]]:
    """Every entry about ``subject``, oldest first, with ``seq``, ``by``, ``entered`` and ``digest``."""
    return [
        {
            **posting.entry.model_dump(mode="json"),
            "seq": posting.seq,
            "by": posting.by,
            "entered": utc(posting.at),
            "digest": posting.digest,
        }
        for posting in desk.registers.entries("consent")
        if isinstance(posting.entry, ConsentEntry)
        and posting.entry.subject == subject
        and dataset in ("", posting.entry.dataset)
    ]


def stands(desk: Desk, consent: ConsentEntry) -> dict[str, Any]:
    """Whether a consent holds now; if it does, what ends it and when, the earliest of three (2.3)."""
    said: dict[str, Any] = {"dataset": consent.dataset, "status": consent.status, "until": None, "why": ""}
    if consent.status != "ConsentGiven":
        return said
    if consent.dataset not in desk.datasets():
        return {**said, "until": utc(consent.expires), "why": "its own end; nothing is sealed under it yet"}
    manifest = desk.manifest(consent.dataset).manifest
    found = terms_of(desk, manifest)
    if found is None:
        return {**said, "status": "AgreementInactive", "why": f"{manifest.agreement} is not active"}
    end = of_voice(consent, kept_until(*found, manifest))
    status = "ConsentExpired" if desk.clock() >= end.at else consent.status
    return {**said, "status": status, "until": utc(end.at), "why": end.why}
