"""The intake of a consignment (2.4): received -> scanned -> reviewed -> accepted | rejected | quarantined. Pure.

| from        | to          | by                                                                            |
|-------------|-------------|-------------------------------------------------------------------------------|
| received    | scanned     | the custodian: findings are signed and all treated, every category is agreed  |
| scanned     | reviewed    | the second of two reviewers, neither of whom received it                      |
| reviewed    | accepted    | a data steward; from here, and only from here, the custodian may open it      |
| any before  | rejected    | a reviewer, with a reason; the ciphertext is deleted                          |
| any before  | quarantined | a reviewer with a reason, or the custodian: an unlabelled or unknown category |
| quarantined | rejected    | a reviewer                                                                    |
| accepted    | rejected    | a reviewer, as long as it is not sealed: a sealing may prove impossible       |

Sealed and rejected are for good.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from sandbox.errors import NotPermitted, Reason, Refused
from sandbox.policy.entries import CHECKLIST, ConsentEntry, IntakeEntry, IntakeState, PersonEntry, Review
from sandbox.policy.minors import lacks_guardian
from sandbox.policy.terms import DatasetTerms

REVIEWERS = ("privacy_reviewer", "party_a_approver")
STEWARDS = ("data_steward",)
WAIVABLE = ("chain_of_title", "notice")
NEXT: Mapping[IntakeState, tuple[IntakeState, ...]] = {
    "received": ("scanned", "quarantined", "rejected"),
    "scanned": ("reviewed", "quarantined", "rejected"),
    "reviewed": ("accepted", "quarantined", "rejected"),
    "quarantined": ("rejected",),
    "accepted": ("rejected",),
    "rejected": (),
}


def scanned(entry: IntakeEntry, agreed: Collection[str], untreated: int) -> IntakeEntry:
    """By the custodian, once the findings are verified: scanned, or quarantined with its reason.

    ``agreed``: the categories that the agreement allows for the dataset. Raises Refused.
    """
    strange = sorted(set(entry.categories) - set(agreed))
    if not entry.categories or strange:
        why = f"its category {', '.join(strange)} is not agreed" if strange else "it carries no category"
        return _moved(entry, "quarantined", reason=why)
    if untreated:
        return _moved(entry, "quarantined", reason=f"{untreated} findings are untreated")
    return _moved(entry, "scanned")


def reviewed(
    entry: IntakeEntry, person: PersonEntry | None, review: Review, against: Sequence[Reason]
) -> IntakeEntry:
    """With one more review; the second of two different people moves it on.

    ``against``: what :func:`blockers` found in the registers. Raises NotPermitted, or Refused with every reason.
    """
    _require_role(person, REVIEWERS)
    if entry.state != "scanned":
        raise _illegal(entry, "reviewed")
    reasons = [*_who(entry, review.reviewer), *_checklist(review), *against]
    if reasons:
        raise Refused(f"{entry.consignment} cannot be passed", reasons=reasons, code=reasons[0].code)
    state: IntakeState = "reviewed" if entry.reviews else "scanned"
    return entry.model_copy(update={"state": state, "reviews": (*entry.reviews, review)})


def accepted(entry: IntakeEntry, person: PersonEntry | None, against: Sequence[Reason]) -> IntakeEntry:
    """Raises NotPermitted, or Refused: not reviewed by two people, or the registers changed since."""
    _require_role(person, STEWARDS)
    if "accepted" not in NEXT[entry.state]:
        raise _illegal(entry, "accepted")
    names = {review.reviewer for review in entry.reviews}
    if len(names) < 2 or entry.received_by in names:
        raise Refused(f"{entry.consignment} lacks two different reviewers", code="intake.reviewers_missing")
    if against:
        raise Refused(f"{entry.consignment} cannot be accepted", reasons=against, code=against[0].code)
    return _moved(entry, "accepted")


def ended(
    entry: IntakeEntry, person: PersonEntry | None, state: IntakeState, reason: str, *, sealed: bool = False
) -> IntakeEntry:
    """Rejected or quarantined, with a reason. Raises NotPermitted, Refused."""
    _require_role(person, REVIEWERS)
    if sealed or state not in ("rejected", "quarantined") or state not in NEXT[entry.state]:
        raise _illegal(entry, state)
    if not reason.strip():
        raise Refused(
            f"{entry.consignment} is {state} for no reason", code="intake.reason_missing", mend="say why"
        )
    return _moved(entry, state, reason=reason.strip())


def blockers(
    entry: IntakeEntry,
    listed: DatasetTerms,
    consents: Mapping[tuple[str, str], ConsentEntry],
    now: datetime,
    *,
    provided: bool = False,
    erased: Collection[tuple[str, str]] = (),
) -> list[Reason]:
    """What the registers say against it, whatever a reviewer ticks: none of it can be waived (R-2.4b, R-2.4c).

    ``provided``: the agreement's relationship is that of PIPL 23, so Party B must have been consented to as recipient.
    ``erased``: (dataset, subject) of everybody who asked to be forgotten.
    """
    rows = {subject: consents.get((entry.dataset, subject)) for subject in entry.subjects}
    reasons = [reason for subject, row in rows.items() for reason in _against(subject, row, now, provided)]
    if strange := sorted(set(entry.categories) - set(listed.categories)):
        why = f"{', '.join(strange)} is not agreed any more"
        reasons.append(_reason("category_not_agreed", entry.consignment, why, "reject it"))
    forgotten = [subject for subject in entry.subjects if (entry.dataset, subject) in erased]
    reasons += [
        _reason(
            "subject_erased", subject, "asked to be forgotten", "reject it: the ciphertext is then deleted"
        )
        for subject in forgotten
    ]
    if _minors(rows.values()) and listed.subjects.minor_access_approver is None:
        why = "minors speak in it, and the agreement names nobody who approves access to them"
        reasons.append(_reason("minor_approver_missing", entry.dataset, why, "agree on an approver"))
    return reasons


def unapproved_minors(
    entry: IntakeEntry, listed: DatasetTerms, consents: Mapping[tuple[str, str], ConsentEntry]
) -> list[Reason]:
    """Against accepting minors' voices: the agreement's approver for them is none of the reviewers (R-2.4c)."""
    rows = [consents.get((entry.dataset, subject)) for subject in entry.subjects]
    approver = listed.subjects.minor_access_approver
    if not _minors(rows) or approver in {review.reviewer for review in entry.reviews}:
        return []
    why = f"{approver or 'nobody'} approves access to minors, and did not review it"
    return [
        _reason("minors_unapproved", entry.consignment, why, "reject it; have the next one reviewed by them")
    ]


def _minors(rows: Iterable[ConsentEntry | None]) -> bool:
    return any(row is not None and row.age_band != "adult" for row in rows)


def _against(subject: str, row: ConsentEntry | None, now: datetime, provided: bool) -> Iterator[Reason]:
    if row is None or row.status != "ConsentGiven":
        yield _reason("consent_missing", subject, "has no consent in force on record")
        return
    if not row.given_at <= now < row.expires:
        yield _reason("consent_expired", subject, "the period of the consent is over, or has not begun")
    needed = [
        "process_voice_biometric",
        "ai_synthesis_of_my_voice",
        *(["recipient_party_b"] if provided else []),
    ]
    if lacking := [flag for flag in needed if not getattr(row.scope, flag)]:
        yield _reason("scope_missing", subject, f"did not consent to {', '.join(lacking)}")
    if row.age_band == "adult" and row.evidence.signed_by != "subject":
        yield _reason("signature_missing", subject, "did not sign the consent in person")
    if lacks_guardian(row):
        yield _reason("guardian_missing", subject, "is a child without evidence of a guardian's consent")


def _reason(
    code: str, about: str, why: str, mend: str = "have Party A import the person's own consent"
) -> Reason:
    return Reason(f"intake.{code}", about, why, mend, "2.4; PIPL 29, 31; Civil Code 1019, 1023")


def _who(entry: IntakeEntry, reviewer: str) -> Iterator[Reason]:
    if reviewer == entry.received_by:
        why, mend = "received it, and so does not review it", "have two others review it"
        yield Reason("intake.own_receipt", reviewer, why, mend, "2.4 (V11)")
    if reviewer in {review.reviewer for review in entry.reviews}:
        yield Reason(
            "intake.same_reviewer",
            reviewer,
            "reviewed it already",
            "have somebody else review it",
            "2.4 (V11)",
        )


def _checklist(review: Review) -> Iterator[Reason]:
    answers = {check.item: check for check in review.checklist}
    for item in CHECKLIST:
        check = answers.get(item)
        if check is None:
            yield Reason("intake.checklist_incomplete", item, "is not answered", f"--met {item}", "2.4")
        elif check.answer == "not_met":
            yield Reason("intake.not_met", item, "is not met", "reject it, or quarantine it", "2.4")
        elif check.answer == "waived" and item not in WAIVABLE:
            yield Reason("intake.not_waivable", item, "can be waived by nobody", "have it met", "2.4")
        elif check.answer == "waived" and not (check.note or "").strip():
            yield Reason(
                "intake.waiver_unexplained", item, "is waived for no reason", "--waive ITEM=REASON", "2.4"
            )


def _require_role(person: PersonEntry | None, roles: tuple[str, ...]) -> None:
    if person is None or person.status != "active" or not set(person.roles) & set(roles):
        who = person.person if person else "nobody"
        raise NotPermitted(f"{who} holds no role for this", mend=f"it takes {' or '.join(roles)}")


def _moved(entry: IntakeEntry, state: IntakeState, reason: str | None = None) -> IntakeEntry:
    if state not in NEXT[entry.state]:
        raise _illegal(entry, state)
    return entry.model_copy(update={"state": state, "reason": reason})


def _illegal(entry: IntakeEntry, state: str) -> Refused:
    return Refused(
        f"{entry.consignment} is {entry.state}; it cannot become {state}",
        code="intake.transition_illegal",
        mend=f"from here: {', '.join(NEXT[entry.state]) or 'nowhere'}",
    )
