"""Retention: what may not be kept any more, since when, and until when it must be gone (2.3, R-2.3c).

The clock bars by itself, and destroys nothing by itself: nobody can bring a key back, and a clock may be wrong. From
its end on no run opens the dataset; the steward has the agreement's grace to destroy it (``sandbox data destroy``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.custodian.agreements import load_terms, standing
from sandbox.custodian.bar import kept_until
from sandbox.custodian.desk import Desk
from sandbox.policy.ends import End, earliest, of_voice
from sandbox.policy.entries import StatusEntry
from sandbox.runs import utc

ENDED = "the agreement was terminated"


@dataclass(frozen=True)
class Due:
    """A dataset past its retention. ``what`` is the agreement's ``on_expiry``: destroy or return."""

    dataset: str
    ended: str
    why: str
    what: str
    destroy_by: str
    subjects: tuple[str, ...]


def due(desk: Desk) -> list[Due]:
    """Every dataset that may not be kept any more and still holds somebody."""
    now, found = desk.clock(), []
    for dataset in desk.datasets():
        manifest = desk.manifest(dataset).manifest
        entry = standing(desk, manifest.agreement)
        if entry is None or not manifest.subjects:
            continue
        terms = load_terms(desk, entry)
        listed = terms.dataset(dataset)
        if listed is None:
            continue
        end, what, grace = (
            kept_until(terms, listed, manifest),
            listed.retention.on_expiry,
            listed.retention.grace,
        )
        stopped = _terminated(desk, entry)
        if stopped is not None and stopped < end.at:
            end, what, grace = End(stopped, ENDED), terms.termination.action, terms.termination.within
        if now >= end.at:
            until = grace.after(end.at)
            found.append(Due(dataset, utc(end.at), end.why, what, utc(until), manifest.subjects))
    return found


def _terminated(desk: Desk, entry: StatusEntry) -> datetime | None:
    """When Party A ended the agreement, if it did."""
    if entry.status != "terminated":
        return None
    told = (p.at for p in desk.registers.entries("status") if p.entry == entry)
    return min(told)


def ending(desk: Desk, dataset: str) -> dict[str, Any]:
    """When a dataset's use ends and why: its own end, and the first of its voices to go before it."""
    manifest = desk.manifest(dataset).manifest
    entry = standing(desk, manifest.agreement)
    terms = None if entry is None else load_terms(desk, entry)
    listed = None if terms is None else terms.dataset(dataset)
    if terms is None or listed is None:
        return {}
    end, known = kept_until(terms, listed, manifest), desk.now("consent").consents
    voices = [
        of_voice(known[dataset, subject], end)
        for subject in manifest.subjects
        if (dataset, subject) in known and known[dataset, subject].status == "ConsentGiven"
    ]
    first = earliest([*voices, end])
    said = {"ends": utc(end.at), "ends_why": end.why, "first_end": utc(first.at), "first_end_why": first.why}
    return {**said, "over": desk.clock() >= end.at}
