"""A run's states as data: what may follow what, what each state holds, what a restart does about it (GATE.md)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from sandbox.errors import Conflict
from sandbox.runs import Outcome, RunState

S = RunState

#: Every step forward, and from every state that holds something the way to ENDED. SETTLED has no way out.
NEXT: Mapping[RunState, frozenset[RunState]] = {
    S.ASKED: frozenset({S.REFUSED, S.ADMITTED}),
    S.REFUSED: frozenset(),
    S.ADMITTED: frozenset({S.PREPARED, S.ENDED}),
    S.PREPARED: frozenset({S.MINTED, S.ENDED}),
    S.MINTED: frozenset({S.STARTED, S.ENDED}),
    S.STARTED: frozenset({S.ORDERED, S.ENDED}),
    S.ORDERED: frozenset({S.UNLOCKED, S.ENDED}),
    S.UNLOCKED: frozenset({S.TRAINING, S.ENDED}),
    S.TRAINING: frozenset({S.ENDED}),
    S.ENDED: frozenset({S.SETTLED}),
    S.SETTLED: frozenset(),
}

FINAL = frozenset({S.REFUSED, S.SETTLED})
LIVE = frozenset(RunState) - FINAL - {S.ASKED}
#: A container may exist: from the moment its start was intended, until its end was seen.
CONTAINER = frozenset({S.MINTED, S.STARTED, S.ORDERED, S.UNLOCKED, S.TRAINING})
#: No credential of the run may be alive.
UNLOCKED_ON = frozenset({S.UNLOCKED, S.TRAINING, S.SETTLED})
DOOR_DIRECTORY = frozenset({S.ADMITTED, S.PREPARED}) | CONTAINER | {S.ENDED}


class Recovery(Enum):
    """What a restarted gate does with a run that it finds in a state."""

    REPEAT = "repeat the step; its effects are found by the run's id"
    WAIT_OUT = "wrapped credentials may exist that nobody knows: wait out their life, settle as failed"
    END = "kill, revoke, settle as failed"
    RECONNECT = "wait for the keeper at the door; it goes on, or settles as failed"
    NOTHING = "final"


AFTER_CRASH: Mapping[RunState, Recovery] = {
    S.ASKED: Recovery.NOTHING,
    S.REFUSED: Recovery.NOTHING,
    S.ADMITTED: Recovery.REPEAT,
    S.PREPARED: Recovery.WAIT_OUT,
    S.MINTED: Recovery.END,
    S.STARTED: Recovery.END,
    S.ORDERED: Recovery.RECONNECT,
    S.UNLOCKED: Recovery.RECONNECT,
    S.TRAINING: Recovery.RECONNECT,
    S.ENDED: Recovery.REPEAT,
    S.SETTLED: Recovery.NOTHING,
}


def require_step(before: RunState, after: RunState) -> None:
    """Raises Conflict when ``after`` cannot follow ``before``."""
    if after not in NEXT[before]:
        raise Conflict(f"a run that is {before} cannot become {after}", code="run.state")


def outcome(killed: bool, failure: str) -> Outcome:
    """How a run that ended is settled: a kill is a kill, whatever else went wrong."""
    if killed:
        return Outcome.KILLED
    return Outcome.FAILED if failure else Outcome.FINISHED
