"""What a rule is: one small function over a request and its facts, with everything that people are told of it.

A rule that lacks a fact it needs yields nothing only where another rule refuses for that lack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sandbox.errors import Reason
from sandbox.policy.facts import Facts
from sandbox.runs import Kind, Request

BOTH = frozenset(Kind)
AGREED = frozenset({Kind.AGREEMENT})
DRY = frozenset({Kind.DRY})


@dataclass(frozen=True)
class Finding:
    """Whom or what a rule refuses, why, and what would mend it where the rule's own words do not fit."""

    about: str
    why: str
    mend: str = ""


@dataclass(frozen=True)
class Rule:
    """``code`` is stable. ``check`` yields every finding, nothing when the rule is kept; it reads nothing else."""

    code: str
    clause: str
    cause: str
    mend: str
    check: Callable[[Request, Facts], Iterator[Finding]]
    kinds: frozenset[Kind] = AGREED

    def reasons(self, request: Request, facts: Facts) -> Iterator[Reason]:
        for found in self.check(request, facts):
            yield Reason(self.code, found.about, found.why, found.mend or self.mend, self.clause)
