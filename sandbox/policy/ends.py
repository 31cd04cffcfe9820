"""When it ends: of all that a permission rests on the earliest, and which of them that is (2.3). Pure.

Times carry their offset and are compared as moments, so no zone, no change of an offset and no leap day moves one. An
end is the first moment at which the thing no longer holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sandbox.policy.entries import ConsentEntry
from sandbox.policy.facts import Facts
from sandbox.policy.fields import moment_or_day

TOLD = "the period told to data subjects"
AGREEMENT = "the agreement"


@dataclass(frozen=True)
class End:
    """``why`` names what ends then."""

    at: datetime
    why: str


def earliest(ends: Iterable[End]) -> End:
    """The first to come; of several at once the one that was named first. Raises ValueError when there is none."""
    return min(ends, key=lambda end: end.at)


def of_data(told: Iterable[datetime], agreement: datetime) -> End:
    """How long a dataset may be kept. ``told``: the retention of agreement and manifest, which the notice promised."""
    return earliest([*(End(moment, TOLD) for moment in told), End(agreement, AGREEMENT)])


def of_consent(consent: ConsentEntry) -> End:
    """A consent's own end."""
    return End(consent.expires, f"consent {consent.record_id} of {consent.subject}")


def of_voice(consent: ConsentEntry, data: End) -> End:
    """How long one voice may be used, while its consent stands."""
    return earliest([of_consent(consent), data])


def of_facts(facts: Facts) -> End | None:
    """Of all voices that a decision looked at the first to end; None where it knew of no agreement."""
    if facts.terms is None:
        return None
    found = [End(facts.terms.until, AGREEMENT)]
    if facts.manifest is not None:
        found.insert(0, End(moment_or_day(facts.manifest.retention_until), TOLD))
    for consent in facts.consents:
        limits = facts.terms.datasets.get(consent.dataset)
        told = [] if limits is None else [limits.retention_until]
        found.append(of_voice(consent, of_data(told, facts.terms.until)))
    return earliest(found)


def next_edge(moments: Iterable[datetime], now: datetime) -> datetime | None:
    """The first of ``moments`` that is still to come."""
    return min((moment for moment in moments if moment > now), default=None)


def passed(moments: Iterable[datetime], since: datetime, now: datetime) -> bool:
    """Whether one of them came after ``since`` and is here; yes, too, when the clock was set back meanwhile."""
    return now < since or any(since < moment <= now for moment in moments)
