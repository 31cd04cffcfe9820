"""Live runs that hear a minor: they last as long as the approval of that access does (R-2.4c)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sandbox.errors import SandboxError
from sandbox.gate.deciding.registers import RegisterReader
from sandbox.policy import minors
from sandbox.policy.registers import Registers
from sandbox.runs import Grant
from sandbox.service import journal

Approvers = Mapping[tuple[str, str], str]  # (agreement, dataset) -> who approves access to its minors


def approvers(registers: RegisterReader, known: Registers) -> dict[tuple[str, str], str]:
    """Whom each agreement names. Of one that cannot be read nobody: its minors are heard by nobody."""
    found = {}
    for name, entry in known.statuses.items():
        try:
            agreement = registers.agreement(entry)
        except SandboxError as fault:
            journal.trouble("agreement.unread", fault, agreement=name)
            continue
        for dataset in agreement.terms.datasets if agreement else ():
            found[name, dataset.id] = dataset.subjects.minor_access_approver or ""
    return found


def unapproved(
    plan: Grant, speakers: Iterable[tuple[str, str]], known: Registers, named: Approvers, now: datetime
) -> bool:
    """Whether the run hears a minor whom its person may not, or may no more, hear for its purpose. Pure."""
    rows = [row for row in known.access.values() if row.person == plan.person]
    return any(
        not minors.approvals(
            rows,
            known.granted_at,
            named.get((plan.agreement, dataset), ""),
            dataset,
            subject,
            plan.purpose,
            now,
        )
        for dataset, subject in speakers
        if (consent := known.consents.get((dataset, subject))) is not None and consent.age_band != "adult"
    )
