"""A kill that goes wrong: each commit and call of the kill itself is a point; another gate does it in the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from unittest.mock import patch

import sqlalchemy as sa

from sandbox.errors import SandboxError
from sandbox.gate.database.tables import incidents
from sandbox.gate.gate import Gate
from sandbox.gate.incidents import catching_up, duties, held, incident, kill
from sandbox.gate.incidents.stopped import KILL
from sandbox.gate.runs.launches import Launch
from sandbox.gate.runs.leases import Lease
from sandbox.runs import RunState
from tests.fakes.power import PowerCut
from tests.faults import checks
from tests.faults.ground import END_S, next_gate, own_world, to_the_end, wired
from tests.faults.kinds import KINDS, Kind, Then
from tests.faults.play import Row
from tests.faults.record import Point
from tests.faults.wires import Site, Wires
from tests.gate import scripts
from tests.gate.world import AGREEMENT, OPERATOR, World, admit, reaches, row, run_of, until

SCOPES = (f"agreement:{AGREEMENT}", "all")
OTHER = "a.approver.1"
#: A kill is answered by then, whatever hangs; each step has a limit of its own (here a short one).
ANSWERED_S = 10.0
ITS = tuple(kind for kind in KINDS if kind.name not in ("the container dies", "a kill is asked"))


def record(founded: World, scope: str) -> list[Point]:
    """What a sound kill passes, in order."""
    with own_world(founded) as world, _short():
        wires, passed = Wires(), list[Site]()
        _, run = _before(world)
        gate = wired(world, wires)
        wires.seen = passed.append
        kill.stop(gate.house, scope, OPERATOR)
        wires.seen = lambda _: None
        assert row(gate, run).kill is not None, "not a sound kill"
    named = "everything" if scope == "all" else "an agreement"
    return [
        Point(site, f"kill of {named}: {site.call} ({site.nth})", run=True, container=True) for site in passed
    ]


def cases(points: list[Point]) -> list[tuple[Point, Kind]]:
    return [(point, kind) for point in points for kind in ITS if kind.fits(point)]


def play(founded: World, scope: str, point: Point, kind: Kind) -> Row:
    """Never raises: that is what the row tells."""
    with own_world(founded) as world, _short():
        try:
            found = _played(world, scope, point, kind)
        except Exception as fault:  # noqa: BLE001 - whatever goes wrong, this point does not hold
            found = [f"{type(fault).__name__}: {fault}"]
    return Row(point.label, kind.name, checks.names(), not found, found)


def _played(world: World, scope: str, point: Point, kind: Kind) -> list[str]:
    first, run = _before(world)
    wires = Wires(point.site, kind.act)
    gate, answered = wired(world, wires), threading.Event()

    def ask() -> None:
        with suppress(PowerCut, SandboxError):
            kill.stop(gate.house, scope, OPERATOR)
        answered.set()

    began = time.monotonic()
    threading.Thread(target=ask, daemon=True).start()
    if not wires.reached.wait(END_S):
        return ["this point was never reached"]
    late = []
    if not answered.wait(ANSWERED_S) or time.monotonic() - began > ANSWERED_S:
        late.append(f"the kill was not answered within {ANSWERED_S:.0f} s")
    wires.released.set()
    if kind.then is Then.AWAY:
        wires.off.set()
    first.supervision.close()
    return late + _ends(world, scope, run)


def _ends(world: World, scope: str, run: str) -> list[str]:
    """Another gate does what is owed; where nothing was written, the person asks again."""
    gate = next_gate(world)
    if not _standing(gate):
        kill.stop(gate.house, scope, OPERATOR)
    with suppress(SandboxError):
        held.begin(gate.house)
    gate.supervision.converge()
    _catch_up(gate, ("container",) if scope == "all" else ())
    if scope == "all":  # only a fresh login can prove credentials dead, and settle
        for name in _standing(gate):
            incident.resume(gate.house, name, OTHER)
        gate.supervision.close()
        gate = next_gate(world)
        gate.supervision.converge()
        _catch_up(gate)
    to_the_end(world, gate)
    found = [] if row(gate, run).outcome == "killed" else [f"{run} was settled as {row(gate, run).outcome}"]
    if scope != "all":
        found += [] if world.tracking.frozen else ["its model is not shown as frozen"]
        for name in _standing(gate):
            incident.resume(gate.house, name, OPERATOR)
        _catch_up(gate)
    found += ["a model is still shown as frozen"] if world.tracking.frozen else []
    return found + checks.in_the_end(world, next_gate(world), told=False)


def _standing(gate: Gate) -> list[str]:
    asked = sa.select(incidents.c.id).where(incidents.c.closed_at.is_(None), incidents.c.kind == KILL)
    return gate.house.store.read(lambda c: list(c.execute(asked).scalars()))


def _before(world: World) -> tuple[Gate, str]:
    """A model of the scope, a live run in it, and credentials that its kill must end."""
    world.settings = replace(world.settings, live_runs_max=4)
    gate = wired(world, Wires())
    assert run_of(gate).outcome == "finished"
    world.script = scripts.waits
    run = admit(gate)
    gate.supervision.begin(run)
    reaches(gate, run, RunState.TRAINING, END_S)
    launch = Launch(gate.house, Lease(run, "here:a", 1))
    for path in ("model-2.safetensors", "model-4.safetensors"):
        launch._know("artifact", gate.house.vault.new_artifact_key(AGREEMENT, run, path, 60), 60)
    gate.house.store.transact(launch.remember)
    return gate, run


def _catch_up(gate: Gate, kinds: tuple[str, ...] = ()) -> None:
    def through() -> bool:
        catching_up.turn(gate.house, 2.0)
        return not gate.house.store.read(lambda c: duties.outstanding(c, kinds=kinds))

    until(through, END_S)


@contextmanager
def _short() -> Iterator[None]:
    """Nobody waits longer than a test must."""
    with patch.multiple(kill, CONTAINERS_S=0.5, CREDENTIALS_S=0.5, SHOWN_S=0.3, LOGIN_S=0.5):
        yield
