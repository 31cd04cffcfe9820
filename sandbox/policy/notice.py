"""The draft notice of an incident (R-1.6, R-3.5): what class it is, until when who must know, and how it reads.

Pure. Facts are ids, counts, codes and times; a data subject stands in it as a number only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.policy.terms import Incidents
from sandbox.runs import utc

LEAK, TAMPER, LOSS, UNAUTHORISED, SUSPECTED = "leak", "tamper", "loss", "unauthorised use", "suspected"
PARTY_A, FINAL = "party_a", "final_report"

#: What an incident is called when it opens; people may find out later that it was less.
_CLASSES: Mapping[str, str] = {
    "credential.used": LEAK,
    "credential.early": LEAK,
    "credential.alive": SUSPECTED,
    "credential.unopened": SUSPECTED,
    "credential.foreign": UNAUTHORISED,
    "decrypt-of-no-grant": LEAK,
    "key-of-no-grant": LEAK,
    "wrapped-again": LEAK,
    "unknown-accessor": UNAUTHORISED,
    "foreign-policy": UNAUTHORISED,
    "statement.invalid": TAMPER,
    "statement.differs": TAMPER,
    "seal.broken": TAMPER,
    "isolation.mismatch": TAMPER,
}
_ROOMS: Mapping[str, str] = {
    "door": UNAUTHORISED,
    "artifact": UNAUTHORISED,
    "metric": UNAUTHORISED,
    "text": UNAUTHORISED,
}


@dataclass(frozen=True)
class Addressee:
    """Who must be told, until when, and when only: a regulator's clock has a trigger."""

    name: str
    due: datetime
    trigger: str = ""


def incident_class(kind: str) -> str:
    """The class of R-1.6 for an incident's kind; what is not known is suspected."""
    return _CLASSES.get(kind) or _ROOMS.get(kind.partition(".")[0], SUSPECTED)


def addressees(terms: Incidents, at: datetime) -> list[Addressee]:
    """Party A first, then one for each regulator clock that the agreement names, then the final report."""
    found = [Addressee(PARTY_A, terms.notify_party_a_within.after(at))]
    found += [
        Addressee(f"regulator: {one.authority}"[:128], one.within.after(at), one.trigger)
        for one in terms.regulator
    ]
    return [*found, Addressee(FINAL, terms.final_report_within.after(at))]


def draft_due(terms: Incidents, at: datetime) -> datetime:
    return terms.draft_within.after(at)


def text(facts: Mapping[str, Any]) -> str:
    """The notice as a person reads and sends it; every line is one of ``facts``."""
    contact = facts["contact"]
    lines = [
        f"DRAFT NOTICE OF AN INCIDENT  {facts['incident']}",
        "",
        f"To            {facts['addressee']}",
        f"Contact       {contact['name']}, {contact['email']}, {contact['phone']}",
        f"Due by        {facts['due_at']}",
    ]
    if facts["trigger"]:
        lines.append(f"Only if       {facts['trigger']}")
    lines += [
        "",
        f"Class         {facts['class']}",
        f"What          {facts['kind']}, seen by {facts['by']}",
        f"When          {facts['opened_at']}",
        f"Scope         {facts['scope']}",
        f"Agreement     {facts['agreement']} version {facts['version']} (sha256 {facts['agreement_digest'][:16]}…)",
        f"Datasets      {_listed(facts['datasets'])}",
        f"Data subjects {facts['subjects']}",
        f"Runs          {_listed(facts['runs'])}",
        f"Models        {_listed(facts['models'])}",
        "",
        "What was done",
        *(f"  {step['at']}  {step['what']}" for step in facts["timeline"]),
        "",
        "Clocks of the agreement",
        *(f"  {clock['due_at']}  {clock['what']}" for clock in facts["clocks"]),
    ]
    return "\n".join(lines) + "\n"


def clocks(terms: Incidents, at: datetime) -> list[dict[str, str]]:
    """Every deadline, soonest first."""
    found = [{"what": "draft", "due_at": utc(draft_due(terms, at))}]
    found += [{"what": one.name, "due_at": utc(one.due)} for one in addressees(terms, at)]
    return sorted(found, key=lambda clock: clock["due_at"])


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"
