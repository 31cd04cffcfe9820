"""Where data is kept and processed: only in regions that the agreement lists, abroad only with a consent to that."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.policy.entries import CrossBorder
from sandbox.policy.facts import Facts, speakers
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


def _abroad(request: Request, facts: Facts) -> Iterator[Finding]:
    """Of places that the agreement allows; the others are refused above, whatever anybody consented to."""
    if any(_processing(request, facts)) or any(_storage(request, facts)):
        return
    here, rows = facts.machine.region, {row.key: row for row in facts.consents}
    for dataset, subject in speakers(request, facts):
        row = rows.get((dataset, subject))
        home = _homes(facts, dataset)
        if row is None or not home or any(_country(here) == _country(region) for region in home):
            continue
        if not _told(row.scope.cross_border, here, facts):
            yield Finding(subject, f"did not consent to processing in {here} of what is kept in {home[0]}")


def _homes(facts: Facts, dataset: str) -> tuple[str, ...]:
    """Where a dataset lies; of one that only an input came from, where the agreement lets it lie."""
    if facts.manifest and facts.manifest.dataset == dataset:
        return (facts.manifest.region,)
    limits = facts.terms.datasets.get(dataset) if facts.terms else None
    return limits.regions if limits else ()


def _told(consent: CrossBorder, here: str, facts: Facts) -> bool:
    """Whether the consent names this region, or Party B, as recipient."""
    party_b = facts.terms.party_b if facts.terms else ""
    return consent.allowed and any(
        inside(here, named) or (bool(party_b) and named == party_b) for named in consent.recipients
    )


def _country(region: str) -> str:
    return region.casefold().partition("-")[0]


RULES = (
    Rule(
        "region.processing", "6.1, 6.2", "This machine stands in a region that the agreement does not list.",
        "run it on a machine in one of the regions", _processing,
    ),
    Rule(
        "region.storage", "6.1 (V14)", "The dataset lies in a region that the agreement does not list for it.",
        "move it back; a transfer needs its own basis", _storage,
    ),
    Rule(
        "consent.cross_border", "6.2; PIPL 39", "A data subject did not consent to processing abroad.",
        "leave the subject out, or run it where the data lies", _abroad,
    ),
)  # fmt: skip
