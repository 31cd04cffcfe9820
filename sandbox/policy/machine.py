"""What this machine allows: time and room for a run, and public speech for dry runs."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.policy.facts import Facts
from sandbox.policy.rule import BOTH, DRY, Finding, Rule
from sandbox.runs import Request


def _time(request: Request, facts: Facts) -> Iterator[Finding]:
    if not 0 < request.compute.time_limit_s <= facts.machine.run_time_max_s:
        asked, most = request.compute.time_limit_s, facts.machine.run_time_max_s
        yield Finding("time_limit", f"{asked} s are asked for, {most} s are the most")


def _busy(_: Request, facts: Facts) -> Iterator[Finding]:
    if facts.machine.live_runs >= facts.machine.live_runs_max:
        yield Finding("this machine", f"{facts.machine.live_runs} runs live already")


def _dry_sealed(request: Request, facts: Facts) -> Iterator[Finding]:
    if request.dataset is not None or facts.manifest is not None:
        yield Finding(str(request.dataset), "a dry run hears public speech only")
    for name in request.inputs:
        yield Finding(name, "a dry run opens no sealed model")


def _dry_public(request: Request, facts: Facts) -> Iterator[Finding]:
    if not facts.machine.public_digest:
        yield Finding(request.recipe, "no public speech is set up")


RULES = (
    Rule(
        "compute.time_limit", "3.2(a)", "More time is asked for than the operator allows.",
        "a smaller compute.time_limit", _time, BOTH,
    ),
    Rule(
        "compute.busy", "3.2(a)", "As many runs live as the operator allows.", "wait for one to end", _busy, BOTH,
    ),
    Rule(
        "dry_run.sealed", "3.2(a), 4.1", "A dry run names sealed data.",
        "leave dataset and inputs out, or ask for a run under the agreement", _dry_sealed, DRY,
    ),
    Rule(
        "dry_run.no_public_set", "3.2(a)", "No public speech is set up for dry runs.",
        "the operator names its digest in configs/public.yaml", _dry_public, DRY,
    ),
)  # fmt: skip
