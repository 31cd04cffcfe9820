"""The kill drill: twenty runs live, everything is stopped, and each step is timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from sandbox.gate.incidents import kill
from sandbox.gate.runs.states import FINAL
from sandbox.runs import RunState
from tests.faults import checks
from tests.faults.ground import END_S, own_world, to_the_end, wired
from tests.faults.play import Row
from tests.faults.wires import Wires
from tests.gate import scripts
from tests.gate.world import AGREEMENT, OPERATOR, World, admit, reaches, row, until

RUNS = 20
STOPPED_MS = 5_000  # every container gone and every credential dead, of all twenty
NAME = f"{RUNS} runs are stopped"


def play(founded: World) -> Row:
    """Never raises."""
    times: dict[str, int] = {}
    with own_world(founded) as world:
        try:
            found = _drilled(world, times)
        except Exception as fault:  # noqa: BLE001 - whatever goes wrong, it does not hold
            found = [f"{type(fault).__name__}: {fault}"]
    return Row("drill: training", NAME, checks.names(), not found, found, times)


def _drilled(world: World, times: dict[str, int]) -> list[str]:
    world.settings = replace(world.settings, live_runs_max=RUNS)
    gate, world.script = wired(world, Wires()), scripts.waits
    found = [admit(gate) for _ in range(RUNS)]
    for run in found:
        gate.supervision.begin(run)
    for run in found:
        reaches(gate, run, RunState.TRAINING, END_S)
    began = time.monotonic()

    def mark(what: str, true: Callable[[], bool] = lambda: True) -> None:
        until(true, END_S)
        times[what] = round((time.monotonic() - began) * 1000)

    said = kill.stop(gate.house, f"agreement:{AGREEMENT}", OPERATOR)
    mark("answered")
    mark("containers gone", lambda: not world.engine.list())
    mark("settled", lambda: all(RunState(row(gate, run).state) in FINAL for run in found))
    to_the_end(world, gate)
    faults = [f"{run} was settled as {how}" for run in found if (how := row(gate, run).outcome) != "killed"]
    if sorted(said["runs"]) != sorted(found):
        faults.append(f"{len(said['runs'])} of {RUNS} runs were told to die")
    if times["containers gone"] > STOPPED_MS:
        faults.append(f"the last container went after {times['containers gone']} ms")
    return faults + checks.in_the_end(world, world.gate(), told=True)
