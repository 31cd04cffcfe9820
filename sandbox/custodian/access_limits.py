"""What no access may go beyond, whoever grants it: V15 to V18, the longest time, and reviews that are due (3.2 a, g).

Asked when somebody asks, again when it is decided; the gate asks once more at every run.
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.custodian.agreements import load_terms
from sandbox.custodian.desk import Desk
from sandbox.errors import Reason
from sandbox.policy.access_review import EVERY, overdue
from sandbox.policy.entries import AccessEntry, PersonEntry
from sandbox.policy.fields import Duration
from sandbox.policy.terms import Terms

CLAUSE = "3.2 a"


def limits(desk: Desk, entry: AccessEntry) -> list[Reason]:
    """Every reason why ``entry`` may not stand; empty when it may."""
    person = desk.now("people").people.get(entry.person)
    if person is None or person.status != "active":
        why = "is not in the people register"
        return [Reason("person.unknown", entry.person, why, "enter them first", CLAUSE)]
    return [*_of_person(entry, person), *_of_dataset(desk, entry)]


def agreed(desk: Desk, dataset: str) -> Terms | None:
    """The terms of the active agreement that lists the dataset; of a sealed dataset, of its own agreement."""
    sealed = desk.now("dataset").dataset(dataset)
    for name, entry in desk.now("status").statuses.items():
        if entry.status == "active" and (sealed is None or sealed.agreement == name):
            terms = load_terms(desk, entry)
            if terms.dataset(dataset) is not None:
                return terms
    return None


def review_every(desk: Desk, dataset: str) -> Duration:
    """How long an access to the dataset may go without a review."""
    terms = agreed(desk, dataset)
    return Duration.parse(EVERY) if terms is None else terms.access.review_every


def late(desk: Desk, dataset: str) -> list[AccessEntry]:
    """Standing accesses to the dataset whose review is overdue."""
    known = desk.now("access", "access-review")
    rows = (row for row in known.access.values() if row.dataset == dataset)
    return overdue(rows, known.granted_at, known.reviewed_at, review_every(desk, dataset), desk.clock())


def _of_person(entry: AccessEntry, person: PersonEntry) -> Iterator[Reason]:
    if "auditor" in person.roles:
        why, mend = "an auditor holds no access to data", "take the role away first"
        yield Reason("access.auditor", entry.person, why, mend, CLAUSE)
    if entry.until > person.nda.expires:
        why, mend = "access would outlive the confidentiality agreement", "a shorter access, or a longer NDA"
        yield Reason("access.outlives_nda", entry.person, why, mend, "3.2 g")
    if entry.until > person.training.valid_until:
        why, mend = "access would outlive the training", "a shorter access, or renew the training"
        yield Reason("access.outlives_training", entry.person, why, mend, "3.2 g")


def _of_dataset(desk: Desk, entry: AccessEntry) -> Iterator[Reason]:
    terms = agreed(desk, entry.dataset)
    found = terms.dataset(entry.dataset) if terms else None
    if terms is None or found is None:
        why, mend = "no active agreement gives it", "name a dataset that the agreement lists"
        yield Reason("access.dataset_unknown", entry.dataset, why, mend, "default deny 3")
        return
    beyond = [purpose for purpose in entry.purposes if purpose not in found.purposes]
    if beyond:
        why = f"the agreement gives it for {', '.join(found.purposes)}, not for {', '.join(beyond)}"
        yield Reason("access.purpose_beyond", entry.dataset, why, "ask for less", "4.1 (V17)")
    longest = terms.access.longest
    if entry.until > longest.after(desk.clock()):
        why = f"an access lasts {longest.text} at most"
        yield Reason("access.too_long", entry.person, why, "an earlier end", CLAUSE)
    if not entry.minors and (unreviewed := late(desk, entry.dataset)):
        names = ", ".join(row.id for row in unreviewed[:5])
        why = f"not reviewed for more than {terms.access.review_every.text}: {names}"
        yield Reason("access.review_overdue", entry.dataset, why, "sandbox access review", "R-3.2a-2")
