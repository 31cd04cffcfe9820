"""Where data is kept and processed: only in regions that the agreement lists."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.policy.facts import Facts
from sandbox.policy.places import inside
from sandbox.policy.rule import Finding, Rule
from sandbox.runs import Request


def _processing(_: Request, facts: Facts) -> Iterator[Finding]:
    region = facts.machine.region
    if facts.terms and not any(inside(region, allowed) for allowed in facts.terms.process_in):
        yield Finding(
            region or "this machine", f"data is processed in {', '.join(facts.terms.process_in)} only"
        )


def _storage(_: Request, facts: Facts) -> Iterator[Finding]:
    found = facts.manifest
    limits = facts.terms.datasets.get(found.dataset) if found and facts.terms else None
    if found and limits and not any(inside(found.region, allowed) for allowed in limits.regions):
        yield Finding(found.dataset, f"it lies in {found.region}, allowed is {', '.join(limits.regions)}")


RULES = (
    Rule(
        "region.processing", "6.1, 6.2", "This machine stands in a region that the agreement does not list.",
        "run it on a machine in one of the regions", _processing,
    ),
    Rule(
        "region.storage", "6.1 (V14)", "The dataset lies in a region that the agreement does not list for it.",
        "move it back; a transfer needs its own basis", _storage,
    ),
)  # fmt: skip
