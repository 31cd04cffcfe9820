"""A run through the real gate, as the engineer sees it: asked for, followed event by event, settled."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sandbox.bench.figures import Beat, Unmeasured, beat
from sandbox.bench.ground import Ground
from sandbox.client import Event, Service
from sandbox.errors import RunFailed
from sandbox.runs import Request

FINAL = "settled"


@dataclass
class Seen:
    """What was seen of a run; ``at`` says when each state was heard of, in seconds after it was admitted.

    ``asked_s`` is what lay before: from asking for the run to the gate's answer that it is.
    """

    run: str
    at: dict[str, float] = field(default_factory=dict)
    beats: list[Beat] = field(default_factory=list)
    outcome: str = ""
    failure: str = ""
    asked_s: float = 0.0
    first: float | None = None  # when its first step was heard of

    def take(self, event: Event, seconds: float) -> None:
        if event.kind == "state":
            state = str(event.data.get("state", ""))
            self.at.setdefault(state, seconds)
            if state == FINAL:
                self.outcome = str(event.data.get("outcome", ""))
            self.failure = str(event.data.get("failure") or self.failure)
        elif event.kind == "progress":
            self.first = seconds if self.first is None else self.first
            found = beat(event.data)
            self.beats += [] if found is None else [found]

    def first_step(self) -> float:
        """Seconds from asking for the run to its first step. Raises Unmeasured when there was none."""
        if self.first is None:
            raise Unmeasured(f"run {self.run} made no step")
        return self.asked_s + self.first

    def after(self, state: str) -> float:
        """Raises Unmeasured when the run was never seen in that state."""
        if state not in self.at:
            raise Unmeasured(f"run {self.run} was never {state}")
        return self.at[state]


def follow(ground: Ground, request: Request) -> Seen:
    """Launch ``request`` and watch it until it is settled.

    Raises:
        Refused: the gate says no.
        RunFailed: it did not finish.
    """
    with ground.gate() as gate:
        gate.get("/v1/health")  # the identity token is fetched before the clock starts
        began = time.monotonic()
        asked: dict[str, Any] = gate.post("/v1/runs", {"request": request.to_json()})
        admitted = time.monotonic()
        seen = Seen(str(asked["run"]), asked_s=admitted - began)
        for event in until_settled(gate, seen):
            seen.take(event, time.monotonic() - admitted)
    if seen.outcome != "finished":
        raise RunFailed(f"run {seen.run} {seen.outcome or 'ended'}: {seen.failure or 'no reason given'}")
    return seen


def until_settled(gate: Service, seen: Seen) -> Iterator[Event]:
    """Events; a stream that ended early is asked for again."""
    after = ""
    while FINAL not in seen.at:
        for event in gate.events(f"/v1/runs/{seen.run}/events", after=after):
            after = event.id or after
            yield event
