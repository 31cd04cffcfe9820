"""The points of the matrix: every site that a sound run passes, in order. Nothing is listed by hand."""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults.ground import own_world, paced, runs_of, to_the_end, wired
from tests.faults.wires import STORE, Site, Wires
from tests.gate.world import World, admit, row


@dataclass(frozen=True)
class Point:
    """A site, what it does, and whether a run and its container are there by then."""

    site: Site
    label: str
    run: bool
    container: bool


def record(founded: World) -> tuple[Point, ...]:
    """Let one run train from admission to its settlement and write down what it passes."""
    with own_world(founded) as world:
        wires, passed = Wires(), list[tuple[Site, bool, bool]]()
        wires.labels = {}
        gate = wired(world, wires)

        def seen(site: Site) -> None:
            alive = any(container.alive for container in world.engine.containers.values())
            admitted = any("state admitted" in said for said in (wires.labels or {}).values())
            passed.append((site, admitted, alive))

        wires.seen = seen
        world.script = paced(wires, told_s=15.0)  # it is told, however busy the machine is
        gate.supervision.begin(admit(gate))
        to_the_end(world, gate)
        (run,) = runs_of(gate)
        found = row(gate, run)
        assert (found.state, found.outcome) == ("settled", "finished"), f"not a sound run: {found.failure}"
        labels = wires.labels
    return tuple(Point(site, _label(site, labels.get(site, "")), run, alive) for site, run, alive in passed)


def _label(site: Site, did: str) -> str:
    if site.hand == STORE and did:
        return f"commit: {did}"
    what = f"commit: {site.call}" if site.hand == STORE else f"{site.hand}: {site.call}"
    return what if site.nth == 1 else f"{what} ({site.nth})"
