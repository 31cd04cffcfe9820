"""Minors: a guardian's evidence below 14, and an approver's word for each access to a minor's voice (R-2.4c). Pure.

An approval is a row of the access register with ``minors``: person x dataset x subjects x purposes x time. It gives no
access by itself, lasts a day at most, and only the approver that the agreement names for the dataset can give it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from sandbox.policy.entries import AccessEntry, ConsentEntry

LONGEST = timedelta(days=1)


def approvals(
    rows: Iterable[AccessEntry],
    granted_at: Mapping[str, datetime],
    approver: str,
    dataset: str,
    subject: str,
    purpose: str,
    now: datetime,
) -> list[AccessEntry]:
    """The rows of ``rows`` that approve access to this minor now. None without an approver of the agreement."""
    return [
        row
        for row in rows
        if row.status == "active"
        and row.dataset == dataset
        and subject in row.minors
        and purpose in row.purposes
        and approver == row.approved_by != row.person
        and row.id in granted_at
        and granted_at[row.id] <= now < row.until <= granted_at[row.id] + LONGEST
    ]


def lacks_guardian(consent: ConsentEntry) -> bool:
    """Whether somebody under 14 is consented for without a guardian's evidence (PIPL 31)."""
    return consent.age_band == "under_14" and consent.guardian_evidence is None
