"""A stored decision decided again: the same facts give the same answer, and they are the facts that were logged.

Facts and answer changed together would agree with each other; so both are held against the log's entry, which carries
a digest of all that the decision looked at and cannot be rewritten unseen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.errors import StatementError
from sandbox.policy.decide import Decision, decide
from sandbox.policy.facts import Facts
from sandbox.runs import Request
from sandbox.statements import canonical_json, sha256

#: Refusals that the gate adds to those of the rules, in the same transaction; they rest on no fact of the snapshot.
ADDED = ("incident.", "clock.")
GONE = "the log tells of it, and it is not stored"


@dataclass(frozen=True)
class Replayed:
    """One decision decided again. ``faults`` is empty when all of it is as it was.

    ``then`` and ``now`` are the codes of its refusals; ``other_rules`` says that the rules have changed since.
    """

    decision: str
    then: tuple[str, ...]
    now: tuple[str, ...]
    faults: tuple[str, ...]
    other_rules: bool = False
    again: Decision | None = None

    @property
    def same(self) -> bool:
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        again = self.again
        said = {} if again is None else {**again.to_predicate(), "expires_why": again.expires_why}
        return {
            **said,
            "id": self.decision,
            "same": self.same,
            "then": list(self.then),
            "now": list(self.now),
            "faults": list(self.faults),
        }


def replay(row: Mapping[str, Any], logged: Mapping[str, Any] | None) -> Replayed:
    """Decide ``row`` again. ``logged`` is the log's entry of it, None when there is none.

    ``row`` holds ``id permitted request facts reasons`` as stored. Whatever cannot be read is a fault, never an error.
    """
    name, stored = str(row["id"]), _reasons(row["reasons"])
    then = tuple(code for code, _ in stored)
    try:
        again = decide(Request.from_json(row["request"]), Facts.from_json(row["facts"]))
    except (StatementError, ValueError, TypeError, KeyError, AttributeError) as fault:
        why = f"its stored facts cannot be read: {type(fault).__name__}"
        return Replayed(name, then, (), (why, *_told(row, then, logged)))
    now = tuple(reason.code for reason in again.reasons)
    faults = [*_answered(row, stored, again), *_told(row, then, logged)]
    other = logged is not None and logged.get("rules_digest") != again.rules_digest
    return Replayed(name, then, now, tuple(faults), other, again)


def _answered(row: Mapping[str, Any], stored: Sequence[tuple[str, str]], again: Decision) -> Iterator[str]:
    """Whom each refusal is about counts; how it is worded a later version may improve."""
    known = [reason for reason in stored if not reason[0].startswith(ADDED)]
    found = [(reason.code, reason.about) for reason in again.reasons]
    if found != known:
        yield f"the rules say {_said(found)}, stored is {_said(known)}"
    if bool(row["permitted"]) is bool(stored):
        yield (
            "it is stored as permitted, with reasons"
            if stored
            else "it is stored as refused, without a reason"
        )


def _told(row: Mapping[str, Any], then: Sequence[str], logged: Mapping[str, Any] | None) -> Iterator[str]:
    if logged is None:
        yield "the log tells nothing of it"
        return
    if _digest(row) != logged.get("inputs_digest"):
        yield "its stored facts are not those that the log names"
    if list(then) != logged.get("reasons") or bool(row["permitted"]) is not logged.get("permitted"):
        yield f"the log tells of another answer: {_said([(str(c), '') for c in logged.get('reasons') or ()])}"


def _digest(row: Mapping[str, Any]) -> str:
    """As :func:`sandbox.policy.decide.inputs_digest`, over what is stored: fields that came later are not in it."""
    try:
        return sha256(canonical_json([row["request"], row["facts"]]))
    except StatementError:
        return ""


def _reasons(value: Any) -> list[tuple[str, str]]:
    """What cannot be read as a reason is one of no code, which no rule gives."""
    listed = value if isinstance(value, list) else [value]
    found = [reason if isinstance(reason, dict) else {} for reason in listed]
    return [(str(reason.get("code", "unreadable")), str(reason.get("about", ""))) for reason in found]


def _said(reasons: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{code} ({about})" if about else code for code, about in reasons) or "permitted"
