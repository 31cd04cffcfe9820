"""When a review is due: a quarter after the access was given or kept, and at once where nobody knows its age."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.policy.access_review import due, overdue
from sandbox.policy.entries import AccessEntry
from sandbox.policy.fields import Duration
from tests.policy import world as w

EVERY = Duration.parse("P92D")
GIVEN = datetime(2026, 8, 1, tzinfo=UTC)
LATE = GIVEN + timedelta(days=92)


def row(**changes: Any) -> AccessEntry:
    return AccessEntry.model_validate(w.access(until="2027-07-31", **changes))


def late(found: AccessEntry, now: datetime, *, given: bool = True, kept: datetime | None = None) -> bool:
    granted = {found.id: GIVEN} if given else {}
    reviewed = {found.id: kept} if kept else {}
    return bool(overdue([found], granted, reviewed, EVERY, now))


def test_it_is_due_a_quarter_after_the_later_of_both() -> None:
    assert due("ac-2345", {"ac-2345": GIVEN}, {}, EVERY) == LATE
    kept = GIVEN + timedelta(days=50)
    assert due("ac-2345", {"ac-2345": GIVEN}, {"ac-2345": kept}, EVERY) == kept + timedelta(days=92)
    assert not late(row(), LATE - timedelta(seconds=1)) and late(row(), LATE)
    assert not late(row(), LATE, kept=kept)


def test_an_access_of_unknown_age_is_overdue() -> None:
    assert due("ac-2345", {}, {}, EVERY) is None
    assert late(row(), GIVEN, given=False)


def test_what_does_not_stand_is_not_reviewed() -> None:
    assert not late(row(status="revoked"), LATE)
    assert not late(row(minors=["spk_aa"]), LATE)
    assert not late(row(), datetime(2027, 7, 31, tzinfo=UTC))
