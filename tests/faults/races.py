"""Races: two gates on one database, a gate that is overtaken, kills that come while a run settles."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from sandbox.gate.database.tables import leases
from sandbox.gate.gate import Gate
from sandbox.gate.routes import api
from sandbox.runs import RunState
from tests.fakes.keeper import SLICE_S, Keeper, begin
from tests.faults import checks
from tests.faults.ground import END_S, own_world, paced, to_the_end, wired
from tests.faults.kinds import HANG_S
from tests.faults.play import Row
from tests.faults.wires import TRACKING, Site, Step, Wires
from tests.gate import scripts
from tests.gate.world import OPERATOR, World, admit, reaches, row, until

KILLS = 8


def play(founded: World, name: str) -> Row:
    """One race, by its name in ``RACES``; never raises."""
    point, race = RACES[name]
    with own_world(founded) as world:
        try:
            found = race(world)
        except Exception as fault:  # noqa: BLE001 - whatever goes wrong, it does not hold
            found = [f"{type(fault).__name__}: {fault}"]
    return Row(point, name, checks.names(), not found, found)


def two_gates(world: World) -> list[str]:
    """Both take the same run in hand at the same moment: one supervises, the other waits for its lease to end."""
    wires = [Wires(), Wires()]
    one, two = (wired(world, its, alone=False) for its in wires)
    world.script = paced(Wires())
    run = admit(one)
    barrier = threading.Barrier(2)

    def begins(act: Callable[[], object]) -> None:
        barrier.wait()
        act()

    beginning = [
        threading.Thread(target=begins, args=(act,), daemon=True)
        for act in (lambda: one.supervision.begin(run), two.supervision.converge)
    ]
    for thread in beginning:
        thread.start()
    until(lambda: row(one, run).state == RunState.SETTLED, END_S)
    for gate in (one, two):
        gate.supervision.close()
    return _as_ended(world, run, "finished")


def overtaken(world: World) -> list[str]:
    """A second gate takes a living run over: the first writes nothing more and leaves its door, the second ends it."""
    two_there = threading.Event()

    def waits(keeper: Keeper) -> None:
        begin(keeper)
        while not two_there.wait(SLICE_S):
            keeper._container.check()
        keeper.metric(2)
        keeper.finish()

    one, world.script = wired(world, Wires()), waits
    run = admit(one)
    one.supervision.begin(run)
    reaches(one, run, RunState.TRAINING)
    two = wired(world, Wires())
    two.supervision.converge()
    until(lambda: _epoch(two, run) == 2)
    two_there.set()
    to_the_end(world, two)
    return _as_ended(world, run, "finished")


def killed_in_settling(world: World) -> list[str]:
    """Many ask for the end of a run whose end is being told to MLflow: it ended as it did, once."""
    hang = Site(TRACKING, "settle_run", 1)

    def hangs(wires: Wires, step: Step) -> object:
        wires.hanging.set()
        wires.released.wait(HANG_S)
        return step.effect()

    wires = Wires(hang, hangs)
    gate, world.script = wired(world, wires), paced(wires)
    run = admit(gate)
    gate.supervision.begin(run)
    assert wires.hanging.wait(END_S), "it never settled"
    answers = _many_kill(gate, run)
    wires.released.set()
    to_the_end(world, gate)
    found = [] if answers == [False] * KILLS else [f"a run that had ended was killed: {answers}"]
    return found + _as_ended(world, run, "finished")


def killed_by_many(world: World) -> list[str]:
    """Many ask for the end of a run in training at once: one of them killed it."""
    gate, world.script = wired(world, Wires()), scripts.waits
    run = admit(gate)
    gate.supervision.begin(run)
    reaches(gate, run, RunState.TRAINING)
    answers = _many_kill(gate, run)
    to_the_end(world, gate)
    found = [] if sorted(answers) == [False] * (KILLS - 1) + [True] else [f"it was killed: {answers}"]
    return found + _as_ended(world, run, "killed")


def _many_kill(gate: Gate, run: str) -> list[bool]:
    """Ask for the run's end, many at once; who was told that they killed it."""
    answers: list[bool] = []
    asking = [
        threading.Thread(target=lambda: answers.append(api.kill(gate, run, OPERATOR, "asked")["killed"]))
        for _ in range(KILLS)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(END_S)
    return answers


def _as_ended(world: World, run: str, *outcomes: str) -> list[str]:
    """What is wrong about a run that was to be started once and to end as one of ``outcomes``."""
    gate = world.gate()
    outcome, started = row(gate, run).outcome, world.engine.started
    right = outcome in outcomes and started == [run]
    found = [] if right else [f"{run}: {outcome}, started {started}"]
    return found + checks.in_the_end(world, gate, told=True)


def _epoch(gate: Gate, run: str) -> int:
    asked = leases.select().where(leases.c.run == run)
    return int(gate.house.store.read(lambda c: c.execute(asked).one()).epoch)


RACES: Mapping[str, tuple[str, Callable[[World], list[str]]]] = {
    "two gates on one run": ("race: admitted", two_gates),
    "another gate takes it over": ("race: training", overtaken),
    "eight kill it at once": ("race: training", killed_by_many),
    "eight kill what settles": ("race: ended", killed_in_settling),
}
