"""Access: person x dataset x purposes x time (3.2 a). A row in a signed register; the gate refuses without one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.custodian.access_limits import limits
from sandbox.custodian.bar import refresh_policies, terms_of
from sandbox.custodian.desk import Desk
from sandbox.custodian.people import APPROVER, require
from sandbox.custodian.registers import check
from sandbox.errors import NotFound, Reason, Refused
from sandbox.policy.entries import AccessEntry
from sandbox.policy.minors import LONGEST
from sandbox.runs import new_id


def grant_access(desk: Desk, caller: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Enter an access for somebody of the people register.

    Raises:
        Refused: an auditor, somebody who left, longer than NDA or training last, beyond the dataset's purposes
            (V15-V18), to oneself, or while a review is overdue; every reason.
    """
    require(desk, caller, APPROVER)
    made = {**body, "id": new_id("ac-"), "approved_by": caller, "status": "active"}
    made |= {"request": None, "break_glass": False}  # those come of a request alone
    entry = check(AccessEntry, "access", made)
    with desk.lock:
        reasons = limits(desk, entry)
        reasons += _minors(desk, entry) if entry.minors else _own(entry)
        if reasons:
            raise Refused(
                f"{entry.person} gets no access to {entry.dataset}", reasons=reasons, code="access.refused"
            )
        entered = desk.registers.append("access", [entry.model_dump(mode="json")], caller)[-1]
        if entry.minors:
            refresh_policies(desk, entry.dataset)
    return {"id": entry.id, "seq": entered.seq, "digest": entered.digest}


def revoke_access(desk: Desk, caller: str, access: str) -> dict[str, Any]:
    """The same row again, revoked. May repeat."""
    require(desk, caller, APPROVER)
    with desk.lock:
        known = desk.now("access").access.get(access)
        if known is None:
            raise NotFound("there is no such access", code="access.unknown")
        entry = {**known.model_dump(mode="json"), "status": "revoked"}
        entered = desk.registers.append("access", [entry], caller)[-1]
        if known.minors:
            refresh_policies(desk, known.dataset)
    return {"id": known.id, "seq": entered.seq, "digest": entered.digest}


def _own(entry: AccessEntry) -> list[Reason]:
    why, mend = "nobody approves their own access", "have another approver grant it"
    own = entry.approved_by == entry.person
    return [Reason("access.self_approved", entry.person, why, mend, "3.2 a")] if own else []


def _minors(desk: Desk, entry: AccessEntry) -> list[Reason]:
    """An approval of access to minors (R-2.4c): by the agreement's approver for them, for a day at most."""
    reasons = []
    found = terms_of(desk, desk.manifest(entry.dataset).manifest)
    approver = found[1].subjects.minor_access_approver if found else None
    if entry.approved_by != approver:
        why = f"access to minors is approved by {approver or 'nobody'}, as the agreement says"
        reasons.append(Reason("minors.approver", entry.approved_by, why, "ask them", "2.4 (V27)"))
    if entry.until > desk.clock().replace(microsecond=0) + LONGEST:
        why = "an approval of access to a minor lasts a day at most"
        reasons.append(Reason("minors.too_long", entry.person, why, "an earlier end", "2.4"))
    if entry.approved_by == entry.person:
        why = "nobody approves their own access"
        reasons.append(Reason("minors.self_approved", entry.person, why, "have somebody else ask", "2.4"))
    return reasons
