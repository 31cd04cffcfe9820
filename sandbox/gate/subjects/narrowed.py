"""Live runs under an agreement that changed: what it forbids now is stopped, as soon as the entry is read (V24).

Suspended or ended, it forbids everything. A version that still allows the run lets it go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import SandboxError
from sandbox.gate.database.tables import decisions
from sandbox.gate.runs import chronicle
from sandbox.policy.entries import StatusEntry
from sandbox.policy.facts import Facts, TermsFacts
from sandbox.policy.narrowing import forbids
from sandbox.policy.registers import Registers
from sandbox.runs import Kind, Request
from sandbox.service import journal

if TYPE_CHECKING:
    from sandbox.gate.gate import Gate

UNREADABLE = "the agreement cannot be read"


def honour_agreements(gate: Gate, known: Registers) -> list[str]:
    """Stop what is forbidden now; the runs that were stopped. May run twice."""
    house, now = gate.house, gate.house.clock()
    changed = [
        (run, entry)
        for run, digest, entry in house.store.read(lambda c: _live(c, known))
        if _differs(digest, entry)
    ]
    why = {run: found for run, entry in changed if (found := _why(gate, run, entry))}

    def stop(connection: Connection) -> list[str]:
        return [run for run in why if chronicle.ask_kill(connection, run, chronicle.BY_GATE, why[run], now)]

    stopped = house.store.transact(stop) if why else []
    for run in stopped:
        gate.supervision.strike(run)
        journal.say("run.forbidden", run=run)
    return stopped


def _live(connection: Connection, known: Registers) -> list[tuple[str, str, StatusEntry | None]]:
    """Each live run under an agreement, the version that it was granted under, and what stands now."""
    found = []
    for run in chronicle.live(connection):
        plan = chronicle.granted(chronicle.find(connection, run))
        if plan.kind is Kind.AGREEMENT:
            found.append((run, plan.agreement_digest, known.statuses.get(plan.agreement)))
    return found


def _differs(digest: str, entry: StatusEntry | None) -> bool:
    return entry is None or entry.digest != digest or entry.status != "active"


def _why(gate: Gate, run: str, entry: StatusEntry | None) -> str:
    """Why the run may not go on; empty when it may. An agreement that cannot be read allows nothing."""
    try:
        agreement = gate.registers.agreement(entry)
    except SandboxError as fault:
        journal.trouble("agreement.unread", fault, run=run)
        return UNREADABLE
    if entry is None or agreement is None:
        return UNREADABLE
    asked = sa.select(decisions.c.request, decisions.c.facts).where(decisions.c.run == run)
    row = gate.house.store.read(lambda c: c.execute(asked).first())
    if row is None:
        return UNREADABLE
    request, facts = Request.from_json(row.request), Facts.from_json(row.facts)
    reasons = forbids(request, facts, TermsFacts.of(agreement), entry, gate.house.clock())
    codes = ", ".join(dict.fromkeys(reason.code for reason in reasons))
    return f"the agreement forbids it now: {codes}" if codes else ""
