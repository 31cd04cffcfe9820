"""From a permitted request to the grant: everything concrete, nothing left to the container's choice. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.policy.decide import Decision
from sandbox.policy.facts import Facts
from sandbox.policy.recipe import MAX_POINTS, Card, Expanded, points
from sandbox.runs import Grant, Input, Kind, Metric, Privacy, Request, utc

CLOCK_SLACK_S = 5


@dataclass(frozen=True)
class GivenInput:
    """A registered model's sealed artifact: its digest, and the run and path that it was sealed under.

    Of a public file only its digest is said; the rest is empty.
    """

    digest: str
    run: str
    path: str
    wrapped_key: str


def make_grant(
    *,
    run: str,
    grant: str,
    request: Request,
    facts: Facts,
    decision: Decision,
    card: Card,
    expanded: Expanded,
    inputs: Mapping[str, GivenInput],
    privacy: Privacy | None,
    image_id: str,
) -> Grant:
    """The plan of a run; its isolation digest is filled in when the spec is made."""
    dry = request.kind is Kind.DRY
    manifest = None if dry else facts.manifest
    return Grant(
        run=run,
        grant=grant,
        kind=request.kind,
        person=facts.name,
        agreement=request.agreement,
        agreement_digest="" if facts.terms is None else facts.terms.digest,
        purpose=request.purpose,
        dataset=None if manifest is None else manifest.dataset,
        manifest_digest=facts.machine.public_digest if dry else None if manifest is None else manifest.digest,
        subjects=() if manifest is None else decision.subjects,
        recipe=request.recipe,
        recipe_digest=request.recipe_digest,
        engine=card.engine,
        parameters=dict(expanded.parameters),
        image_id=image_id,
        isolation_digest="",
        inputs=tuple(
            Input(name, given.digest, given.run, given.path) for name, given in sorted(inputs.items())
        ),
        privacy=privacy,
        metrics=expanded.metrics,
        artifacts=expanded.artifacts,
        channels={"metric_points": metric_points(expanded.metrics, expanded), "text": dry},
        not_before=utc(facts.now - timedelta(seconds=CLOCK_SLACK_S)),
        expires=utc(_expires(request, facts, decision)),
    )


def metric_points(metrics: tuple[Metric, ...], expanded: Expanded) -> int:
    """How many numbers may leave: as many as the declared density needs for the run's steps, never above the cap.

    Speech coded into full-precision metrics needs few points (LINEAGE, 9); what may leave is bounded, and told.
    """
    steps = int(expanded.parameters.get("steps", MAX_POINTS))
    return min(MAX_POINTS, points((metric.every for metric in metrics), steps))


def _expires(request: Request, facts: Facts, decision: Decision) -> datetime:
    longest = facts.now + timedelta(seconds=request.compute.time_limit_s)
    return longest if decision.expires is None else min(longest, decision.expires)
