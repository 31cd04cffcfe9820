"""Looking at accesses again, at least once a quarter: each is kept or removed, and that stands signed (R-3.2a-2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.custodian.access import revoke_access
from sandbox.custodian.access_limits import review_every
from sandbox.custodian.desk import Desk
from sandbox.custodian.people import APPROVER, require
from sandbox.custodian.reads import PAGE, REVIEWERS
from sandbox.custodian.registers import check
from sandbox.errors import NotFound, NotPermitted
from sandbox.policy.access_review import due, overdue
from sandbox.policy.fields import Duration
from sandbox.policy.registers import REVIEWS as REGISTER
from sandbox.policy.review_entries import AccessReviewEntry
from sandbox.runs import utc
from sandbox.service.paging import page


def standing(desk: Desk, caller: str, query: Mapping[str, str]) -> dict[str, Any]:
    """Every access that stands, with when it was given, looked at last, and is due; the first due comes first."""
    require(desk, caller, *REVIEWERS)
    known, now = desk.now("access", REGISTER), desk.clock()
    every: dict[str, Duration] = {}
    items = []
    for row in known.access.values():
        if row.status != "active" or row.minors or now >= row.until:
            continue
        span = every.setdefault(row.dataset, review_every(desk, row.dataset))
        until = due(row.id, known.granted_at, known.reviewed_at, span)
        granted, reviewed = known.granted_at.get(row.id), known.reviewed_at.get(row.id)
        items.append(
            {
                **row.model_dump(mode="json"),
                "granted": utc(granted) if granted else "",
                "reviewed": utc(reviewed) if reviewed else "",
                "due": utc(until) if until else "",
                "overdue": bool(overdue([row], known.granted_at, known.reviewed_at, span, now)),
            }
        )
    return page(sorted(items, key=lambda item: (item["due"], item["id"])), query, PAGE)


def review(desk: Desk, caller: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """``{access, verdict}``: ``kept`` or ``removed``. What is removed is revoked first. May repeat.

    Raises:
        NotFound: no such access stands. NotPermitted: it is the caller's own.
    """
    require(desk, caller, APPROVER)
    said = {"access": body.get("access"), "verdict": body.get("verdict"), "reviewer": caller}
    entry = check(AccessReviewEntry, REGISTER, said)
    with desk.lock:
        known = desk.now("access").access.get(entry.access)
        if known is None or (known.status != "active" and entry.verdict == "kept"):
            raise NotFound("no such access stands", code="access.unknown", mend="sandbox access review")
        if known.person == caller:
            raise NotPermitted(
                "nobody reviews their own access",
                code="access.own_review",
                mend="another approver looks at it",
            )
        if entry.verdict == "removed" and known.status == "active":
            revoke_access(desk, caller, entry.access)
        posted = desk.registers.append(REGISTER, [entry.model_dump(mode="json")], caller)[-1]
    return {
        **entry.model_dump(mode="json"),
        "person": known.person,
        "dataset": known.dataset,
        "seq": posted.seq,
    }
