"""The history of a reviewed thing: who approved or revoked it when, and which version was approved last. Pure.

It is read from the chain of entries, so nothing of it is lost when a reviewer changes their mind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sandbox.policy.entries import ApprovalEntry
from sandbox.policy.purpose import REVIEWERS
from sandbox.policy.registers import Posting
from sandbox.policy.review_entries import ImageEntry
from sandbox.runs import utc


def recipe_history(chain: Sequence[Posting], digest: str) -> list[dict[str, Any]]:
    """Every act on these bytes, oldest first."""
    return [
        {**_said(posting), "purposes": list(posting.entry.purposes)}
        for posting in chain
        if isinstance(posting.entry, ApprovalEntry) and posting.entry.digest == digest
    ]


def image_history(chain: Sequence[Posting], image: str) -> list[dict[str, Any]]:
    """Every act on this image, oldest first."""
    return [
        _said(posting)
        for posting in chain
        if isinstance(posting.entry, ImageEntry) and posting.entry.image == image
    ]


def approved_before(
    chain: Sequence[Posting], name: str, digest: str, standing: Callable[[str], Sequence[str]]
) -> str:
    """The other version of recipe ``name`` that was approved last and may still run; empty where there is none.

    ``standing`` answers whose approval of a digest counts today; none for one that was revoked.
    """
    for posting in reversed(chain):
        entry = posting.entry
        if (
            isinstance(entry, ApprovalEntry)
            and entry.recipe == name
            and entry.digest != digest
            and entry.status == "approved"
            and len(standing(entry.digest)) >= REVIEWERS
        ):
            return entry.digest
    return ""


def _said(posting: Posting) -> dict[str, Any]:
    entry = posting.entry
    return {
        "seq": posting.seq,
        "at": utc(posting.at),
        "by": posting.by,
        "status": getattr(entry, "status", ""),
        "reason": getattr(entry, "reason", None) or "",
    }
