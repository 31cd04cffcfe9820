"""The agreement stands: known, signed, complete, in force now, neither suspended nor terminated."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.policy.facts import Facts
from sandbox.policy.rule import Finding, Rule
from sandbox.runs import Request, utc


def _unknown(request: Request, facts: Facts) -> Iterator[Finding]:
    if facts.status is None or facts.terms is None:
        yield Finding(request.agreement, "no such agreement is active here")


def _changed(request: Request, facts: Facts) -> Iterator[Finding]:
    terms, status = facts.terms, facts.status
    if terms and status and (terms.digest != status.digest or terms.agreement != request.agreement):
        yield Finding(
            request.agreement, "the file is not the one that both parties signed and Party A activated"
        )


def _incomplete(request: Request, facts: Facts) -> Iterator[Finding]:
    if facts.terms and not facts.terms.complete:
        yield Finding(request.agreement, "it encodes a text that was received cut off")


def _suspended(request: Request, facts: Facts) -> Iterator[Finding]:
    if facts.status and facts.status.status == "suspended":
        yield Finding(request.agreement, "Party A suspended it")


def _terminated(request: Request, facts: Facts) -> Iterator[Finding]:
    if facts.status and facts.status.status == "terminated":
        yield Finding(request.agreement, "it was terminated")


def _not_yet(request: Request, facts: Facts) -> Iterator[Finding]:
    if facts.terms and facts.now < facts.terms.since:
        yield Finding(request.agreement, f"it begins {utc(facts.terms.since)}")


def _expired(request: Request, facts: Facts) -> Iterator[Finding]:
    if facts.terms and facts.now >= facts.terms.until:
        yield Finding(request.agreement, f"it ended {utc(facts.terms.until)}")


RULES = (
    Rule(
        "agreement.unknown", "I-9; default deny 1", "No agreement of this id is active.",
        "Party A activates it: sandbox agreement activate FILE", _unknown,
    ),
    Rule(
        "agreement.changed", "3.3, I-9 (V02)", "The agreement file differs from the signed and activated one.",
        "restore the signed file, or activate a new version", _changed,
    ),
    Rule(
        "agreement.incomplete", "1.1-6.2 (V01)", "The agreement encodes an incomplete text.",
        "obtain the complete signed text", _incomplete,
    ),
    Rule(
        "agreement.suspended", "I-14", "Party A suspended the agreement.", "ask Party A", _suspended,
    ),
    Rule(
        "agreement.terminated", "I-3", "The agreement was terminated.", "conclude a new agreement", _terminated,
    ),
    Rule(
        "agreement.not_yet", "I-3 (V03)", "The agreement is not in force yet.", "wait until it begins", _not_yet,
    ),
    Rule(
        "agreement.expired", "I-3 (V03)", "The agreement ended.", "conclude a new version", _expired,
    ),
)  # fmt: skip
