"""Consent: every data subject whose voice the run touches consented, to this, and still does.

For a run without a dataset these are all subjects in the lineage of its inputs. Every flag is a consent of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.policy import minors
from sandbox.policy.entries import AccessEntry, ConsentEntry
from sandbox.policy.facts import Facts, Speaker, speakers
from sandbox.policy.rule import Finding, Rule
from sandbox.runs import Request, utc

ALWAYS = ("process_voice_biometric", "ai_synthesis_of_my_voice")


def needed(request: Request, facts: Facts) -> tuple[str, ...]:
    """The flags that this run needs of everybody (CONTRACTS, "Purposes and consent")."""
    flags = list(ALWAYS)
    if facts.terms and facts.terms.relationship == "provided":
        flags.append("recipient_party_b")
    if request.purpose == "serve_custom_tts":
        flags.append("serve_to_third_parties")
    if facts.recipe and facts.recipe.clones:
        flags.append("clone_identifiable_voice")
    return tuple(flags)


def _rows(request: Request, facts: Facts) -> Iterator[tuple[Speaker, ConsentEntry | None]]:
    rows = {row.key: row for row in facts.consents}
    gone = {entry.key for entry in facts.erasures}
    for speaker in speakers(request, facts):
        if speaker not in gone:
            yield speaker, rows.get(speaker)


def _missing(request: Request, facts: Facts) -> Iterator[Finding]:
    for (dataset, subject), row in _rows(request, facts):
        if row is None:
            yield Finding(subject, f"no consent is on record for {dataset}")


def _withdrawn(request: Request, facts: Facts) -> Iterator[Finding]:
    for (dataset, subject), row in _rows(request, facts):
        if row and row.status == "ConsentWithdrawn":
            yield Finding(subject, f"consent {row.record_id} for {dataset} was withdrawn")


def _not_given(request: Request, facts: Facts) -> Iterator[Finding]:
    for (dataset, subject), row in _rows(request, facts):
        if row and row.status not in ("ConsentGiven", "ConsentWithdrawn"):
            yield Finding(subject, f"consent {row.record_id} for {dataset} stands as {row.status}")


def _expired(request: Request, facts: Facts) -> Iterator[Finding]:
    for (_, subject), row in _rows(request, facts):
        if row and row.status == "ConsentGiven" and facts.now >= row.expires:
            yield Finding(subject, f"consent {row.record_id} ended {utc(row.expires)}")


def _not_yet(request: Request, facts: Facts) -> Iterator[Finding]:
    for (_, subject), row in _rows(request, facts):
        if row and row.status == "ConsentGiven" and facts.now < row.given_at:
            yield Finding(subject, f"consent {row.record_id} begins {utc(row.given_at)}")


def _scope(request: Request, facts: Facts) -> Iterator[Finding]:
    flags = needed(request, facts)
    for (_, subject), row in _rows(request, facts):
        lacking = [flag for flag in flags if not getattr(row.scope, flag)] if row else []
        if lacking:
            verb = "was" if len(lacking) == 1 else "were"
            yield Finding(subject, f"{', '.join(lacking)} {verb} not consented to")


def approvals(request: Request, facts: Facts, speaker: Speaker) -> list[AccessEntry]:
    """What approves this person's access to a minor's voice, now and for the purpose."""
    dataset, subject = speaker
    limits = facts.terms.datasets.get(dataset) if facts.terms else None
    own = (row for row in facts.access if row.person == facts.name)
    approver = limits.minor_approver if limits else ""
    return minors.approvals(own, facts.granted_at, approver, dataset, subject, request.purpose, facts.now)


def _minor(request: Request, facts: Facts) -> Iterator[Finding]:
    for speaker, row in _rows(request, facts):
        if row and row.age_band != "adult" and not approvals(request, facts, speaker):
            yield Finding(
                speaker[1],
                f"age band {row.age_band}: no approval stands for {facts.name} to {request.purpose} with it",
            )


def _guardian(request: Request, facts: Facts) -> Iterator[Finding]:
    for (_, subject), row in _rows(request, facts):
        if row and minors.lacks_guardian(row):
            yield Finding(subject, f"consent {row.record_id} shows no evidence of a guardian's consent")


def _by_other(request: Request, facts: Facts) -> Iterator[Finding]:
    for (_, subject), row in _rows(request, facts):
        if row and row.age_band == "adult" and row.evidence.signed_by != "subject":
            yield Finding(subject, f"consent {row.record_id} was signed by somebody else")


_LEAVE_OUT = "leave the subject out, or ask Party A"

RULES = (
    Rule("consent.missing", "2.3; PIPL 13", "No consent is on record.", _LEAVE_OUT, _missing),
    Rule(
        "consent.withdrawn", "2.3; PIPL 15", "A data subject withdrew the consent.", "leave the subject out",
        _withdrawn,
    ),
    Rule(
        "consent.not_given", "2.3; default deny 4", "A consent was refused, ended or is unknown.", _LEAVE_OUT,
        _not_given,
    ),
    Rule("consent.expired", "2.3; PIPL 19", "A consent ended.", _LEAVE_OUT, _expired),
    Rule("consent.not_yet", "2.3", "A consent does not begin before a later time.", _LEAVE_OUT, _not_yet),
    Rule(
        "consent.scope_missing", "2.3, 4.3; PIPL 29; Civil Code 1019, 1023",
        "A data subject did not consent to what the run does.", _LEAVE_OUT, _scope,
    ),
    Rule(
        "subject.minor", "2.4 (V27); Minors Regs 36", "A data subject is a minor, and nobody approved this access.",
        "the agreement's approver for minors: sandbox access grant --minor; or leave the subject out", _minor,
    ),
    Rule(
        "consent.guardian_missing", "2.3 (V10); PIPL 31", "A child under 14 has no guardian's consent.", _LEAVE_OUT,
        _guardian,
    ),
    Rule(
        "consent.not_own", "2.4; default deny 4", "An adult's consent was signed by somebody else.", _LEAVE_OUT,
        _by_other,
    ),
)  # fmt: skip
