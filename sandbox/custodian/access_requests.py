"""Access that people ask for: Party A's approver decides, nobody their own request, and no request waits for ever.

A request is a register entry of its own (``access-request``), signed like every other: who asked for what and why, and
who decided it, can neither be lost nor be rewritten. Break-glass is a request for somebody else, for hours: one person
asks, another confirms, and neither of them is the one who gets it. It lifts no rule; it only is quick, and loud.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sandbox.custodian.access_limits import limits
from sandbox.custodian.desk import Desk
from sandbox.custodian.people import APPROVER, STEWARD, require
from sandbox.custodian.reads import EVERYBODY, PAGE, REVIEWERS
from sandbox.custodian.registers import check
from sandbox.errors import Conflict, NotFound, NotPermitted, Refused, Usage
from sandbox.policy.entries import AccessEntry
from sandbox.policy.fields import Duration
from sandbox.policy.registers import REQUESTS
from sandbox.policy.review_entries import RequestEntry
from sandbox.runs import new_id, utc
from sandbox.service.paging import page

OPEN_FOR, GLASS_OPEN_FOR = timedelta(days=7), timedelta(hours=1)
GLASS_MOST_S = 4 * 3600
PENDING_MOST = 20  # of one person: a bound on what one login can write
ASKERS = (STEWARD, "privacy_reviewer", "operator", APPROVER)
ENGINEER = "ml_engineer"


def ask(desk: Desk, caller: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """``{dataset, purposes, until, reason}`` for oneself.

    Raises:
        Refused: what is asked could never be granted (V15 to V18, a time that is over); every reason.
    """
    require(desk, caller, ENGINEER)
    said = {name: body.get(name) for name in ("dataset", "purposes", "until", "reason")}
    return _enter(desk, caller, {**said, "kind": "access", "person": caller}, OPEN_FOR)


def ask_break_glass(desk: Desk, caller: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """``{person, dataset, purposes, for, reason}`` for somebody else, ``for`` as ISO 8601, four hours at most."""
    require(desk, caller, *ASKERS)
    try:
        lasts_s = Duration.parse(str(body.get("for"))).nominal_s
    except ValueError as fault:
        raise Usage(str(fault), mend="--for PT2H") from None
    if not 0 < lasts_s <= GLASS_MOST_S:
        raise Usage("break-glass lasts four hours at most", code="access.glass_too_long", mend="--for PT4H")
    if body.get("person") == caller:
        raise NotPermitted(
            "nobody asks for break-glass for themselves",
            code="access.own_request",
            mend="have somebody else ask",
        )
    said = {name: body.get(name) for name in ("person", "dataset", "purposes", "reason")}
    until = utc(desk.clock() + GLASS_OPEN_FOR + timedelta(seconds=lasts_s))
    made = {**said, "kind": "break_glass", "until": until, "lasts_s": lasts_s}
    return _enter(desk, caller, made, GLASS_OPEN_FOR)


def approve(desk: Desk, caller: str, request: str, until: str | None = None) -> dict[str, Any]:
    """Grant what was asked for, or less of it: ``until`` may be earlier. May repeat after a crash.

    Raises:
        NotPermitted: it is the caller's own request. Conflict: it is decided. Refused: it is void, or V15 to V18.
    """
    require(desk, caller, APPROVER)
    with desk.lock:
        found = _open(desk, caller, request, "access")
        made = _access(caller, found, until or utc(found.until))
        if made.until > found.until:
            raise Usage(
                "an approval is never longer than what was asked for", code="access.longer_than_asked"
            )
        return _grant(desk, caller, found, made)


def confirm(desk: Desk, caller: str, request: str) -> dict[str, Any]:
    """The second person's word for break-glass; the clock starts now. Raises as :func:`approve`."""
    require(desk, caller, APPROVER)
    with desk.lock:
        found = _open(desk, caller, request, "break_glass")
        until = desk.clock() + timedelta(seconds=found.lasts_s or 0)
        made = _access(caller, found, utc(until)).model_copy(update={"break_glass": True})
        return _grant(desk, caller, found, made)


def deny(desk: Desk, caller: str, request: str, why: str) -> dict[str, Any]:
    """Refuse a request of either kind, with a reason for who asked. Raises Conflict when it is decided."""
    require(desk, caller, APPROVER)
    with desk.lock:
        found = _open(desk, caller, request, "")
        return _decide(desk, caller, found, {"status": "denied", "decided_by": caller, "why": why})


def listing(desk: Desk, caller: str, query: Mapping[str, str]) -> dict[str, Any]:
    """Requests, oldest first; who reviews sees all, everybody else their own. ``status`` narrows."""
    require(desk, caller, *EVERYBODY)
    person = desk.now("people").people[caller]
    every = bool(set(person.roles) & set(REVIEWERS))
    items = []
    for entry in desk.now(REQUESTS).requests.values():
        shown = {**entry.model_dump(mode="json"), "status": _status(desk, entry)}
        if (every or caller in (entry.person, entry.asked_by)) and query.get("status", "") in (
            "",
            shown["status"],
        ):
            items.append(shown)
    return page(items, query, PAGE)


def _status(desk: Desk, entry: RequestEntry) -> str:
    return "expired" if entry.status == "pending" and desk.clock() >= entry.closes else entry.status


def _enter(desk: Desk, caller: str, said: Mapping[str, Any], open_for: timedelta) -> dict[str, Any]:
    closes = utc(desk.clock() + open_for)
    entry = check(RequestEntry, REQUESTS, {**said, "id": new_id("rq-"), "asked_by": caller, "closes": closes})
    if entry.until <= desk.clock():
        raise Usage(
            "the end that was asked for is over", code="access.until_over", mend="--until a later time"
        )
    with desk.lock:
        known = desk.now(REQUESTS).requests.values()
        if sum(e.asked_by == caller and _status(desk, e) == "pending" for e in known) >= PENDING_MOST:
            raise Refused(f"{caller} has {PENDING_MOST} open requests", code="access.too_many_requests")
        _require_possible(desk, entry, entry.until)
        posted = desk.registers.append(REQUESTS, [entry.model_dump(mode="json")], caller)[-1]
    return {**entry.model_dump(mode="json"), "seq": posted.seq, "digest": posted.digest}


def _require_possible(desk: Desk, asked: RequestEntry, until: datetime) -> None:
    """Raises Refused with every reason why it could not be granted."""
    if reasons := limits(desk, _access(asked.asked_by, asked, utc(until))):
        raise Refused(
            f"{asked.person} could get no such access to {asked.dataset}",
            reasons=reasons,
            code="access.refused",
        )


def _open(desk: Desk, caller: str, request: str, kind: str) -> RequestEntry:
    """The request, if ``caller`` may decide it now."""
    found = desk.now(REQUESTS).requests.get(request)
    if found is None:
        raise NotFound(
            "there is no such request", code="access.request_unknown", mend="sandbox access requests"
        )
    if kind and found.kind != kind:
        verb = "confirm" if found.kind == "break_glass" else "approve"
        raise Usage(f"{request} is a request of the other kind", mend=f"sandbox access {verb} {request}")
    if found.status != "pending":
        raise Conflict(f"{request} was {found.status} by {found.decided_by}", code="access.request_decided")
    if desk.clock() >= found.closes:
        raise Refused(
            f"{request} waited too long and is void",
            code="access.request_expired",
            mend="have it asked for anew",
        )
    if caller in (found.person, found.asked_by):
        raise NotPermitted(
            "nobody decides a request of their own",
            code="access.own_request",
            mend="another approver decides",
        )
    return found


def _access(caller: str, found: RequestEntry, until: str) -> AccessEntry:
    made = {
        "id": new_id("ac-"),
        "person": found.person,
        "dataset": found.dataset,
        "purposes": list(found.purposes),
        "until": until,
        "approved_by": caller,
        "status": "active",
        "request": found.id,
    }
    return check(AccessEntry, "access", made)


def _grant(desk: Desk, caller: str, found: RequestEntry, made: AccessEntry) -> dict[str, Any]:
    """The access first, then the decision: after a crash between the two the same access is found again."""
    rows = desk.now("access").access.values()
    entry = next((row for row in rows if row.request == found.id), None)
    if entry is None:
        if reasons := limits(desk, made):
            raise Refused(
                f"{made.person} gets no access to {made.dataset}", reasons=reasons, code="access.refused"
            )
        desk.registers.append("access", [made.model_dump(mode="json")], caller)
        entry = made
    decided = {"status": "approved", "decided_by": caller, "access": entry.id}
    return {**_decide(desk, caller, found, decided), "until": utc(entry.until)}


def _decide(desk: Desk, caller: str, found: RequestEntry, said: Mapping[str, Any]) -> dict[str, Any]:
    entry = check(RequestEntry, REQUESTS, {**found.model_dump(mode="json"), **said})
    posted = desk.registers.append(REQUESTS, [entry.model_dump(mode="json")], caller)[-1]
    return {**entry.model_dump(mode="json"), "seq": posted.seq, "digest": posted.digest}
