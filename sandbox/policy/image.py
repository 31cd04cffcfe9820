"""The runner image: it runs once somebody who did not install it approved it (3.2 a, e; default deny 3)."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.policy.facts import Facts
from sandbox.policy.rule import AGREED, Finding, Rule
from sandbox.runs import Request

APPROVERS = 1


def _approved(_: Request, facts: Facts) -> Iterator[Finding]:
    found = facts.image
    if found is None or not found.id:
        yield Finding("the runner image", "no image is installed")
        return
    about = f"image {found.id[:12]}"
    if found.revoked_by:
        yield Finding(about, f"revoked by {', '.join(found.revoked_by)}")
    elif len(set(found.approved_by) - {facts.name}) < APPROVERS:
        yield Finding(about, f"nobody who may, and is not {facts.name}, approved it")


RULES = (
    Rule(
        "image.unapproved", "3.2(a), 3.2(e); default deny 3", "No reviewer approved this very runner image.",
        "a reviewer who is no operator looks at it: sandbox image review", _approved, AGREED,
    ),
)  # fmt: skip
