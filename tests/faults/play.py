"""One fault: it is injected, the gate is started again, everything converges, every invariant is asked."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

from sandbox.errors import SandboxError
from sandbox.gate.gate import Gate
from sandbox.gate.routes import api
from tests.fakes.power import PowerCut
from tests.faults import checks
from tests.faults.ground import (
    END_S,
    next_gate,
    own_world,
    paced,
    runs_of,
    threads_of,
    to_the_end,
    wired,
)
from tests.faults.kinds import Kind, Then
from tests.faults.record import Point
from tests.faults.wires import TRACKING, Wires
from tests.gate.world import OPERATOR, World, admit

AT_ONCE_S = 20.0  # a kill is one transaction; the call that hangs would take 60 s
AWAY_S = 0.15


@dataclass(frozen=True)
class Row:
    """One line of build/faults.json."""

    point: str
    fault: str
    invariants: list[str]
    holds: bool
    broken: list[str] = field(default_factory=list)
    times_ms: dict[str, int] = field(default_factory=dict)


def play(founded: World, point: Point, kind: Kind) -> Row:
    """Never raises for a fault of the gate: that is what the row tells."""
    with own_world(founded) as world:
        try:
            found = _played(world, point, kind)
        except Exception as fault:  # noqa: BLE001 - whatever goes wrong, this point does not hold
            found = [f"{type(fault).__name__}: {fault}"]
    return Row(point.label, kind.name, checks.names(), not found, found)


def _played(world: World, point: Point, kind: Kind) -> list[str]:
    wires = Wires(point.site, kind.act)
    gate = wired(world, wires)
    wires.kill = lambda: [api.kill(gate, run, OPERATOR, "asked") for run in runs_of(gate)] and None
    world.script = paced(wires)
    beginning = threading.Thread(target=_begin, args=(gate,), daemon=True)
    beginning.start()
    if not wires.reached.wait(END_S):
        beginning.join(60)  # or it goes on in an installation that is no more
        return ["this point was never reached"]
    found = _follow(world, gate, wires, kind.then, beginning)
    gate.supervision._closing.set()
    for thread in threads_of(gate):
        thread.join(END_S)
    found += _restarted(world, at_rest=kind.then in (Then.DEAD, Then.AWAY), told=point.site.hand != TRACKING)
    return found


def _begin(gate: Gate) -> None:
    with suppress(PowerCut, SandboxError):  # a request that is refused, or a gate that dies over it
        gate.supervision.begin(admit(gate))


def _follow(world: World, gate: Gate, wires: Wires, then: Then, beginning: threading.Thread) -> list[str]:
    """What the first gate still does; what is wrong about that."""
    late = []
    match then:
        case Then.AWAY:
            time.sleep(AWAY_S)
            wires.off.set()
        case Then.HANGS:
            assert wires.hanging.wait(END_S), "it did not hang"
            began = time.monotonic()
            wires.kill()
            if (took := time.monotonic() - began) > AT_ONCE_S:
                late.append(f"a kill was answered after {took:.1f} s")
            wires.released.set()
    beginning.join(END_S)
    if then in (Then.ON, Then.HANGS):
        to_the_end(world, gate)
    for thread in threads_of(gate):
        thread.join(END_S)
    return late


def _restarted(world: World, *, at_rest: bool, told: bool) -> list[str]:
    """The next gate finds the services there, and takes in hand what it finds."""
    gate = next_gate(world)
    found = [f"before the restart: {fault}" for fault in checks.at_rest(world, gate)] if at_rest else []
    gate.supervision.converge()
    to_the_end(world, gate)
    return found + checks.in_the_end(world, gate, told=told)
