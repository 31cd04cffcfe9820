"""Consents of data subjects: each flag its own consent, evidence by digest. A withdrawal bars at once (R-2.3b)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.custodian.bar import refresh_policies
from sandbox.custodian.desk import Desk
from sandbox.custodian.people import APPROVER, STEWARD, require
from sandbox.custodian.registers import check
from sandbox.errors import NotFound, Usage
from sandbox.policy.entries import ConsentEntry
from sandbox.runs import new_id

MAX_AT_ONCE = 10_000


def import_consents(desk: Desk, caller: str, given: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Enter one consent or many (all or none), then rewrite the run policies that they touch."""
    require(desk, caller, STEWARD, APPROVER)
    if not 0 < len(given) <= MAX_AT_ONCE:
        raise Usage(f"between 1 and {MAX_AT_ONCE} consents at once")
    made = [{"record_id": new_id("cr-"), **consent} for consent in given]
    return _enter(desk, caller, [check(ConsentEntry, "consent", consent) for consent in made])


def withdraw_consent(desk: Desk, caller: str, dataset: str, subject: str) -> dict[str, Any]:
    """From here no new key of this subject is unwrapped, by live credentials either. May repeat."""
    require(desk, caller, STEWARD, APPROVER)
    known = desk.now("consent").consents.get((dataset, subject))
    if known is None:
        raise NotFound(f"{subject} has no consent for {dataset} on record", code="consent.unknown")
    return _enter(desk, caller, [known.model_copy(update={"status": "ConsentWithdrawn"})])


def _enter(desk: Desk, caller: str, entries: Sequence[ConsentEntry]) -> dict[str, Any]:
    with desk.lock:
        entered = desk.registers.append(
            "consent", [entry.model_dump(mode="json") for entry in entries], caller
        )
        barred = {
            dataset: refresh_policies(desk, dataset) for dataset in sorted({e.dataset for e in entries})
        }
    return {"entered": len(entered), "seq": entered[-1].seq, "digest": entered[-1].digest, "barred": barred}
