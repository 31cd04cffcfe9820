"""A house for one fault: a wired gate on it, a keeper that goes step by step, and times that need no patience."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from sandbox.gate.database.tables import runs
from sandbox.gate.gate import Gate, build
from sandbox.gate.runs import chronicle, conversation, supervision, watch
from sandbox.isolation import doors
from sandbox.runs import ExitClass, RunState
from sandbox.vault.minting import Minting
from tests.fakes.keeper import Keeper, Script, begin
from tests.faults.wires import LAUNCHER, TRACKING, WiredConversation, WiredHand, WiredStore, Wires
from tests.gate.founding import copied
from tests.gate.world import World, muted_power_cuts, row, short_folder

TOLD_S = 2.0
_BUILDING = threading.Lock()  # alembic migrates one database at a time
END_S = 40.0
#: Doors that look often, a lease that is renewed once: then two sound runs pass the same sites.
QUICK: tuple[tuple[Any, str, Any], ...] = (
    (doors, "ACCEPT_S", 0.05),
    (conversation, "POLL_S", 0.02),
    (watch, "LOOK_S", 0.02),
    (watch, "TELL_S", 0.03),
    (watch, "RENEW_S", 3600.0),
    (supervision, "BACKOFF_S", (0.05,)),
)


@contextmanager
def quick() -> Iterator[None]:
    """Nobody waits longer than a test must."""
    with ExitStack() as stack:
        for where, name, value in QUICK:
            stack.enter_context(patch.object(where, name, value))
        stack.enter_context(muted_power_cuts())
        yield


@contextmanager
def own_world(founded: World) -> Iterator[World]:
    """An installation of one fault's own."""
    with short_folder() as state:
        world = copied(founded, state)
        try:
            yield world
        finally:
            world.close()


def wired(world: World, wires: Wires, *, alone: bool = True) -> Gate:
    """A gate all of whose commits and calls pass ``wires``."""
    world.places.make()
    with _BUILDING:
        gate = build(
            world.places,
            vault=Minting(WiredConversation(world.vault, wires)),  # type: ignore[arg-type]
            launcher=WiredHand(world.engine, LAUNCHER, wires),
            tracking=WiredHand(world.tracking, TRACKING, wires),
            settings=lambda: world.settings,
            trust=world.keys,
            clock=world.clock,
            store=WiredStore(world.places.database, wires),
            alone=alone,
        )
    world.gates.append(gate)
    wires.end_container = lambda: _end_all(world)
    return world.gates[-1]


def next_gate(world: World) -> Gate:
    """The gate that is started after the fault; every service is there for it."""
    with _BUILDING:
        return world.gate()


def _end_all(world: World) -> None:
    for container in world.engine.containers.values():
        container.end(ExitClass.NONZERO)


def paced(wires: Wires, told_s: float = TOLD_S) -> Script:
    """Every frame is stored before the next one is said, and metrics are told before an artifact comes."""

    def script(keeper: Keeper) -> None:
        said = keeper.say

        def say(kind: str, **body: Any) -> None:
            said(kind, **body)
            keeper._patiently(keeper.door.flush)

        keeper.say = say  # type: ignore[method-assign]
        begin(keeper)
        keeper.metric(2)
        _until_told(keeper, wires, told_s)
        for artifact in keeper.grant.artifacts:
            step = artifact.steps[0] if artifact.steps else 0
            keeper.artifact(artifact.path, step, json.dumps([keeper.grant.run, step]).encode())
        keeper.finish()

    return script


def _until_told(keeper: Keeper, wires: Wires, told_s: float) -> None:
    deadline = time.monotonic() + told_s
    while not (wires.told.is_set() or wires.off.is_set()) and time.monotonic() < deadline:
        keeper._container.check()
        time.sleep(0.01)


def runs_of(gate: Gate) -> list[str]:
    """Every run in the database."""
    return gate.house.store.read(lambda c: list(c.execute(runs.select()).scalars()))


def to_the_end(world: World, gate: Gate, timeout_s: float = END_S) -> None:
    """Until every supervisor of ``gate`` is done. What waits out a credential's life is given that time."""
    deadline = time.monotonic() + timeout_s
    for run in runs_of(gate):
        while not gate.supervision.join(run, 0.3):
            if row(gate, run).state == RunState.PREPARED:
                outlive(world)
            if time.monotonic() > deadline:
                raise AssertionError(f"{run} goes on for {timeout_s:.0f} s: {row(gate, run).state}")


def outlive(world: World) -> None:
    """More time passes than any credential lives."""
    world.pass_time(seconds=2 * world.settings.credential_ttl_s + 4)


def live(gate: Gate) -> list[str]:
    return list(gate.house.store.read(chronicle.live))


def threads_of(gate: Gate) -> list[threading.Thread]:
    return list(gate.supervision._threads.values())
