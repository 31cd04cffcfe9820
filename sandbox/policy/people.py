"""The person: known and there, with the role, a living confidentiality agreement, training, and access to the data."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.policy.access_review import overdue
from sandbox.policy.entries import AccessEntry
from sandbox.policy.facts import Facts, speakers
from sandbox.policy.fields import Duration
from sandbox.policy.rule import BOTH, Finding, Rule
from sandbox.runs import Request, utc


def _unknown(_: Request, facts: Facts) -> Iterator[Finding]:
    if facts.person is None or facts.person.person != facts.name:
        yield Finding(facts.name, "stands in no register of people")


def _left(_: Request, facts: Facts) -> Iterator[Finding]:
    if facts.person and facts.person.status != "active":
        yield Finding(facts.name, "has left")


def _role(_: Request, facts: Facts) -> Iterator[Finding]:
    if facts.person and facts.terms and not set(facts.person.roles) & set(facts.terms.access_roles):
        yield Finding(
            facts.name, f"holds none of the roles {', '.join(facts.terms.access_roles) or '(none)'}"
        )


def _nda(_: Request, facts: Facts) -> Iterator[Finding]:
    if facts.person and facts.now >= facts.person.nda.expires:
        yield Finding(facts.name, f"the confidentiality agreement ended {utc(facts.person.nda.expires)}")


def _training(_: Request, facts: Facts) -> Iterator[Finding]:
    if facts.person and facts.now >= facts.person.training.valid_until:
        training = facts.person.training
        yield Finding(facts.name, f"{training.course} ended {utc(training.valid_until)}")


def _auditor(_: Request, facts: Facts) -> Iterator[Finding]:
    if facts.person and "auditor" in facts.person.roles:
        yield Finding(facts.name, "audits, and so holds no access to data")


def datasets(request: Request, facts: Facts) -> tuple[str, ...]:
    """Every dataset that the run touches, itself or by its inputs."""
    return tuple(sorted({dataset for dataset, _ in speakers(request, facts)}))


def live_access(request: Request, facts: Facts, dataset: str) -> tuple[AccessEntry, ...]:
    """Rows that let this person use ``dataset`` for the purpose now."""
    return tuple(
        row
        for row in facts.access
        if row.person == facts.name
        and row.dataset == dataset
        and row.status == "active"
        and not row.minors
        and request.purpose in row.purposes
        and facts.now < row.until
    )


def _active(facts: Facts, dataset: str) -> list[AccessEntry]:
    return [
        row
        for row in facts.access
        if row.person == facts.name and row.dataset == dataset and row.status == "active" and not row.minors
    ]


def _access(request: Request, facts: Facts) -> Iterator[Finding]:
    for dataset in datasets(request, facts):
        if not _active(facts, dataset):
            yield Finding(dataset, f"{facts.name} has no access to it")


def _access_purpose(request: Request, facts: Facts) -> Iterator[Finding]:
    for dataset in datasets(request, facts):
        rows = _active(facts, dataset)
        if rows and not any(request.purpose in row.purposes for row in rows):
            yield Finding(dataset, f"{facts.name} has no access to it for {request.purpose}")


def _access_expired(request: Request, facts: Facts) -> Iterator[Finding]:
    for dataset in datasets(request, facts):
        rows = [row for row in _active(facts, dataset) if request.purpose in row.purposes]
        if rows and all(facts.now >= row.until for row in rows):
            last = max(row.until for row in rows)
            yield Finding(dataset, f"the access of {facts.name} ended {utc(last)}")


def _sound(facts: Facts, row: AccessEntry) -> bool:
    return row.approved_by != facts.name


def _access_self(request: Request, facts: Facts) -> Iterator[Finding]:
    for dataset in datasets(request, facts):
        rows = live_access(request, facts, dataset)
        if rows and not any(_sound(facts, row) for row in rows):
            yield Finding(dataset, f"{facts.name} approved the access {rows[0].id} alone")


def _access_long(request: Request, facts: Facts) -> Iterator[Finding]:
    if facts.terms is None:
        return
    longest = Duration.parse(facts.terms.access_longest)
    for dataset in datasets(request, facts):
        rows = live_access(request, facts, dataset)
        if rows and not any(
            row.id in facts.granted_at and row.until <= longest.after(facts.granted_at[row.id])
            for row in rows
        ):
            yield Finding(
                dataset, f"access {rows[0].id} lasts longer than {longest.text}, or is of unknown age"
            )


def _access_overdue(request: Request, facts: Facts) -> Iterator[Finding]:
    if facts.terms is None:
        return
    every = Duration.parse(facts.terms.access_review_every)
    for dataset in datasets(request, facts):
        rows = live_access(request, facts, dataset)
        late = overdue(rows, facts.granted_at, facts.reviewed_at, every, facts.now)
        if rows and len(late) == len(rows):
            yield Finding(dataset, f"access {rows[0].id} was not reviewed for more than {every.text}")


RULES = (
    Rule(
        "person.unknown", "3.2(a); default deny 3", "The person stands in no register.",
        "Party A's approver adds them: sandbox people add", _unknown, BOTH,
    ),
    Rule("person.left", "3.2(g)", "The person has left.", "somebody else asks for the run", _left, BOTH),
    Rule(
        "person.role_missing", "3.2(a)", "The person holds no role that may be given data.",
        "somebody with the role asks, or Party A gives it", _role,
    ),
    Rule(
        "person.nda_expired", "3.2(g) (V15)", "The person's confidentiality agreement ended.",
        "sign a new one and have it registered", _nda, BOTH,
    ),
    Rule(
        "person.training_expired", "3.2(g) (V16)", "The person's data-security training ended.",
        "renew it", _training, BOTH,
    ),
    Rule(
        "person.auditor", "3.2(a) (V18)", "Auditors hold no access to data.",
        "somebody who does not audit asks for the run", _auditor,
    ),
    Rule(
        "access.missing", "3.2(a)", "The person has no access to a dataset that the run touches.",
        "ask for it: sandbox access request", _access,
    ),
    Rule(
        "access.purpose_missing", "3.2(a), 4.1 (V17)", "The person's access is for other purposes.",
        "ask for access for this purpose", _access_purpose,
    ),
    Rule("access.expired", "3.2(a)", "The person's access ended.", "ask for it anew", _access_expired),
    Rule(
        "access.self_approved", "3.2(a)", "The person approved their own access.",
        "have somebody else approve it", _access_self,
    ),
    Rule(
        "access.too_long", "3.2(a)", "An access lasts longer than the agreement allows.",
        "have it granted anew, for a shorter time", _access_long,
    ),
    Rule(
        "access.review_overdue", "3.2(a); R-3.2a-2", "An access was not reviewed for longer than the agreement allows.",
        "Party A's approver looks at it: sandbox access review", _access_overdue,
    ),
)  # fmt: skip
