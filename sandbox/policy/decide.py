"""``decide``: may this run happen? Pure and total: every rule is asked and every reason given.

Replaying a stored request and its facts gives the same answer, reason for reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox.errors import Reason, Refused
from sandbox.policy import (
    budget,
    consent,
    dataset,
    image,
    machine,
    people,
    privacy,
    purpose,
    region,
    standing,
)
from sandbox.policy.ends import AGREEMENT, TOLD, End, earliest, of_consent
from sandbox.policy.facts import Facts, Speaker, chosen, speakers
from sandbox.policy.fields import moment_or_day
from sandbox.policy.rule import Rule
from sandbox.runs import Kind, Request, utc
from sandbox.statements import canonical_json, sha256

RULES: tuple[Rule, ...] = (
    *standing.RULES,
    *people.RULES,
    *purpose.RULES,
    *image.RULES,
    *dataset.RULES,
    *consent.RULES,
    *region.RULES,
    *privacy.RULES,
    *budget.RULES,
    *machine.RULES,
)
BROKEN = "policy.broken"


@dataclass(frozen=True)
class Decision:
    """The answer. ``expires`` is the earliest end of anything that the permission rests on; None when refused.

    ``expires_why`` may name a data subject, so it is told to who asks, and stands in no log.
    """

    permitted: bool
    reasons: tuple[Reason, ...]
    speakers: tuple[Speaker, ...]
    subjects: tuple[str, ...]
    expires: datetime | None
    inputs_digest: str
    rules_digest: str
    expires_why: str = ""

    def to_predicate(self) -> dict[str, Any]:
        return {
            "permitted": self.permitted,
            "reasons": [asdict(reason) for reason in self.reasons],
            "expires": None if self.expires is None else utc(self.expires),
            "inputs_digest": self.inputs_digest,
            "rules_digest": self.rules_digest,
        }

    def require(self, decision: str) -> None:
        """Raises Refused with every reason. ``decision`` is its id."""
        if not self.permitted:
            raise Refused("the rules say no", reasons=self.reasons, decision=decision)


def decide(request: Request, facts: Facts, rules: Sequence[Rule] = RULES) -> Decision:
    """Every refusal, in the order of the rules and then of the subjects. A rule that fails is a refusal, too."""
    reasons = tuple(_reasons(request, facts, rules))
    permitted = not reasons
    end = ends(request, facts) if permitted else None
    return Decision(
        permitted=permitted,
        reasons=reasons,
        speakers=speakers(request, facts),
        subjects=chosen(request, facts),
        expires=None if end is None else end.at,
        inputs_digest=inputs_digest(request, facts),
        rules_digest=rules_digest(rules),
        expires_why="" if end is None else end.why,
    )


def _reasons(request: Request, facts: Facts, rules: Sequence[Rule]) -> Iterator[Reason]:
    for rule in rules:
        if request.kind not in rule.kinds:
            continue
        try:
            yield from list(rule.reasons(request, facts))
        except Exception as fault:  # noqa: BLE001 - whatever a rule dies of, the answer is no
            yield Reason(
                BROKEN, rule.code, f"the rule failed: {type(fault).__name__}", "report it", "default deny 7"
            )


def ends(request: Request, facts: Facts) -> End:
    """When the permission ends at the latest: of all dates that it rests on, the earliest (2.3)."""
    found = [End(facts.now + timedelta(seconds=request.compute.time_limit_s), "the time that was asked for")]
    if facts.person:
        found.append(End(facts.person.nda.expires, f"the confidentiality agreement of {facts.name}"))
        found.append(End(facts.person.training.valid_until, f"the training of {facts.name}"))
    if request.kind is Kind.DRY:
        return earliest(found)
    if facts.terms:
        found.append(End(facts.terms.until, AGREEMENT))
    if facts.manifest:
        found.append(End(moment_or_day(facts.manifest.retention_until), TOLD))
    for name in people.datasets(request, facts):
        if facts.terms and name in facts.terms.datasets:
            found.append(End(facts.terms.datasets[name].retention_until, TOLD))
        last = max((row.until for row in people.live_access(request, facts, name)), default=facts.now)
        found.append(End(last, f"the access of {facts.name} to {name}"))
    for row in facts.consents:
        found.append(of_consent(row))
        if row.age_band != "adult":
            approved = consent.approvals(request, facts, row.key)
            last = max((approval.until for approval in approved), default=facts.now)
            found.append(End(last, f"the approval of access to the minor {row.subject}"))
    return earliest(found)


def inputs_digest(request: Request, facts: Facts) -> str:
    """sha256 of all that the decision looked at."""
    return sha256(canonical_json([request.to_json(), facts.to_json()]))


def rules_digest(rules: Sequence[Rule] = RULES) -> str:
    """sha256 of what the rules say of themselves; another set of rules is another policy."""
    return sha256(canonical_json([[rule.code, rule.clause, rule.cause, rule.mend] for rule in rules]))
