"""The privacy budget: over all private runs nobody loses more than the agreement's cap."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.policy.facts import Facts, chosen
from sandbox.policy.rule import Finding, Rule
from sandbox.runs import Request

_LEAVE_OUT = "leave the subject out: name the others under `subjects:`"


def _unknown(request: Request, facts: Facts) -> Iterator[Finding]:
    if request.privacy is None or facts.manifest is None:
        return
    known = {(row.dataset, row.subject) for row in facts.spending}
    for subject in chosen(request, facts):
        if (facts.manifest.dataset, subject) not in known:
            yield Finding(subject, "what was spent of their privacy is not known")


def _exhausted(request: Request, facts: Facts) -> Iterator[Finding]:
    if request.privacy is None or facts.manifest is None or facts.terms is None:
        return
    cap, wanted = facts.terms.max_epsilon, set(chosen(request, facts))
    for row in facts.spending:
        if row.dataset == facts.manifest.dataset and row.subject in wanted and not row.after <= cap:
            left = max(0.0, cap - row.spent)
            yield Finding(
                row.subject,
                f"{left:.2g} of {cap:g} left, this run needs {row.after - row.spent:.2g}",
                f"epsilon at most {left:.2g}, or {_LEAVE_OUT}" if left else _LEAVE_OUT,
            )


RULES = (
    Rule(
        "budget.unknown", "3.2(c); default deny 2", "The ledger does not know what a data subject lost.",
        "an incident until the ledger is explained", _unknown,
    ),
    Rule(
        "budget.exhausted", "3.2(c)", "The run would take a data subject over the agreement's cap.",
        "ask for a smaller epsilon, or leave the subject out", _exhausted,
    ),
)  # fmt: skip
