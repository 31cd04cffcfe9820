"""A version that only narrows may be signed by Party A alone, and acts at once (V24). Pure.

Whoever opens such a version opens the one before it as well, down to one that both parties signed: what an
installation says of its agreement is never believed, only signatures and what the texts differ in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from sandbox.errors import Reason, Refused, StatementError
from sandbox.policy.agreement import Agreement, open_agreement, require_successor
from sandbox.policy.decide import decide
from sandbox.policy.difference import differences
from sandbox.policy.directions import Effect
from sandbox.policy.documents import read
from sandbox.policy.entries import StatusEntry
from sandbox.policy.facts import Facts, TermsFacts
from sandbox.policy.terms import Terms
from sandbox.runs import Request
from sandbox.statements import AGREEMENT, PublicKey, open_envelope, sha256

Open = Callable[[bytes, bytes, PublicKey, PublicKey, str], Agreement]

#: Follows from the change itself, and says nothing of whether the new version forbids a run.
_OF_THE_CHANGE = "dataset.agreement_outdated"


def open_version(
    data: bytes,
    envelope: bytes,
    party_a: PublicKey,
    party_b: PublicKey,
    name: str,
    before: Callable[[str], Agreement],
    both: Open = open_agreement,
) -> Agreement:
    """The terms: signed by both parties, or by Party A alone where they only narrow the version before.

    ``before`` answers the verified version of a digest. ``both`` is :func:`open_agreement`, perhaps remembered.

    Raises:
        StatementError: Party A did not sign these bytes, or what they follow is not there.
        Refused: Party A alone signed what allows more, or what no program can tell the way of (V24).
        Usage: signed, but not readable as terms (V23).
    """
    try:
        return both(data, envelope, party_a, party_b, name)
    except StatementError as fault:
        try:
            signed = open_envelope(envelope, AGREEMENT, [party_a], threshold=1)
        except StatementError:
            raise fault from None
        if signed != data or party_a.keyid == party_b.keyid:
            raise fault from None
        found = Agreement(read(data, Terms, name), sha256(data), by_a_alone=True)
        if found.terms.metadata.supersedes is None:
            raise fault from None
    old = before(found.terms.metadata.supersedes)
    if old.digest != found.terms.metadata.supersedes:
        raise StatementError("the version before is another one", code="agreement.changed")
    require_successor(old, found)
    require_narrower(old.terms, found.terms)
    return found


def require_narrower(old: Terms, new: Terms) -> None:
    """Raises Refused with everything that ``new`` allows more, and where it allows nothing less."""
    changes = differences(old, new)
    reasons = tuple(
        Reason("agreement.widens", change.path, change.words, "have Party B sign it, too", "I-14 (V24)")
        for change in changes
        if change.effect is Effect.WIDENS
    )
    if reasons or not any(change.effect is Effect.NARROWS for change in changes):
        what = "allows more" if reasons else "forbids nothing more"
        raise Refused(
            f"Party A alone signed a version that {what}",
            reasons=reasons,
            code="agreement.widens" if reasons else "agreement.narrows_nothing",
            mend="have Party B sign it, too: sandbox agreement sign FILE --key party-b.key",
        )


def forbids(
    request: Request, facts: Facts, terms: TermsFacts, status: StatusEntry, now: datetime
) -> tuple[Reason, ...]:
    """What an agreement that changed forbids of a run that was admitted before; what only time brought is left out.

    ``facts`` are those of the run's admission; ``terms`` and ``status`` are today's.
    """
    before = {(r.code, r.about) for r in decide(request, replace(facts, now=now)).reasons}
    after = decide(request, replace(facts, now=now, terms=terms, status=status)).reasons
    return tuple(r for r in after if (r.code, r.about) not in before and r.code != _OF_THE_CHANGE)
