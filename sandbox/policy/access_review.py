"""When an access is to be looked at again, and whether that day has passed (R-3.2a-2). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sandbox.policy.entries import AccessEntry
from sandbox.policy.fields import Duration

EVERY = "P92D"  # a quarter; where the agreement says nothing, and never more


def due(
    access: str, granted_at: Mapping[str, datetime], reviewed_at: Mapping[str, datetime], every: Duration
) -> datetime | None:
    """Until when the access may go unreviewed; None where nobody knows how old it is."""
    looked = [found[access] for found in (granted_at, reviewed_at) if access in found]
    return every.after(max(looked)) if looked else None


def overdue(
    rows: Iterable[AccessEntry],
    granted_at: Mapping[str, datetime],
    reviewed_at: Mapping[str, datetime],
    every: Duration,
    now: datetime,
) -> list[AccessEntry]:
    """Those of the standing accesses among ``rows`` whose review is overdue; one of unknown age is.

    An approval of access to minors lasts a day: it ends before it can be due.
    """
    found = []
    for row in rows:
        if row.status != "active" or row.minors or now >= row.until:
            continue
        until = due(row.id, granted_at, reviewed_at, every)
        if until is None or now >= until:
            found.append(row)
    return found
