"""What an incident reached, as far as the gate knows by itself: agreements, datasets, how many voices, runs, models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.gate.database.tables import credentials, events, models, runs
from sandbox.gate.incidents import scopes
from sandbox.gate.runs import chronicle
from sandbox.policy.registers import Registers
from sandbox.runs import Kind, from_utc, utc

#: What of a run's story is something that was done about an incident.
_STATES = ("ended", "settled")


@dataclass(frozen=True)
class Affected:
    """Sorted ids. ``subjects`` counts the data subjects."""

    agreements: tuple[str, ...]
    datasets: tuple[str, ...]
    subjects: int
    runs: tuple[str, ...]
    models: tuple[str, ...]


def affected(connection: Connection, known: Registers, row: Any) -> Affected:
    """Every run of the scope that had a credential, or lives; what is sealed under the scope counts with it."""
    scope = scopes.parse(row.scope)
    agreements, voices, datasets, hit = set[str](), set[tuple[str, str]](), set[str](), list[str]()
    for name in _candidates(connection, scope):
        grant = chronicle.granted(chronicle.find(connection, name))
        if grant.kind is Kind.DRY or not scopes.reaches(connection, scope, name):
            continue
        hit.append(name)
        agreements.add(grant.agreement)
        if grant.dataset is not None:
            datasets.add(grant.dataset)
            voices |= {(grant.dataset, str(subject)) for subject in grant.subjects}
    for entry in known.datasets.values():
        if scope.kind == "all" or scope.value in (entry.dataset, entry.agreement):
            agreements.add(entry.agreement)
            datasets.add(entry.dataset)
            voices |= {(entry.dataset, str(subject)) for subject in entry.subjects}
    if scope.kind == "agreement":
        agreements.add(scope.value)
    if scope.kind == "subject":
        voices = {voice for voice in voices if voice[1] == scope.value}
    made = sa.select(models.c.name, models.c.version).where(models.c.run.in_(hit))
    named = sorted(f"{m.name}@{m.version}" for m in connection.execute(made))
    return Affected(
        tuple(sorted(name for name in agreements if name in known.statuses)),
        tuple(sorted(datasets)),
        len(voices),
        tuple(sorted(hit)),
        tuple(named),
    )


def done(connection: Connection, row: Any) -> list[dict[str, str]]:
    """What was done about it, in order: the kill's own timeline, and how each run of it ended."""
    at, opened = from_utc(row.at), row.at
    steps = [(opened, f"incident {row.id} stands: nothing of {row.scope} is admitted")]
    steps += [(utc(at), str(step["what"])) for step in row.timeline]
    chosen = [row.run] if row.run else [step["run"] for step in row.timeline if step.get("run")]
    for run in sorted(set(chosen)):
        told = sa.select(events.c.data, events.c.at).where(events.c.run == run, events.c.kind == "state")
        for event in connection.execute(told.order_by(events.c.id)):
            if event.data["state"] in _STATES:
                how = event.data.get("outcome") or event.data.get("exit") or ""
                steps.append((event.at, f"{run}: {event.data['state']} {how}".strip()))
        ended = sa.select(sa.func.count(), sa.func.max(credentials.c.dead_at)).where(
            credentials.c.run == run, credentials.c.dead_at.is_not(None)
        )
        count, last = connection.execute(ended).one()
        if count:
            steps.append((str(last), f"{run}: {count} credentials proved dead"))
    if row.closed_at:
        steps.append((row.closed_at, f"incident {row.id} closed"))
    return [{"at": when, "what": what} for when, what in sorted(steps, key=lambda step: step[0])]


def _candidates(connection: Connection, scope: scopes.Scope) -> list[str]:
    """Runs worth a closer look."""
    asked = sa.select(runs.c.id).order_by(runs.c.id)
    if scope.kind == "run":
        asked = asked.where(runs.c.id == scope.value)
    return [str(name) for name in connection.execute(asked).scalars()]
