"""What must hold after a fault: the product's own invariants, and what the fakes know to be true behind its back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import sqlalchemy as sa

from sandbox import audit
from sandbox.gate.database.tables import budget
from sandbox.gate.gate import Gate
from sandbox.gate.ledger import log
from sandbox.gate.ledger.invariants import broken
from sandbox.gate.routes import report
from sandbox.gate.runs.states import UNLOCKED_ON
from sandbox.runs import RunState
from sandbox.tracking.reconcile import compare
from sandbox.tracking.signed import signed_runs
from tests.faults.ground import live, runs_of
from tests.gate.world import World, row, states

#: By the numbers of GATE.md. Of the fourth, decrypts in Vault's audit file, a Vault in memory has nothing to read.
OWN = {
    "1": "no credential lives where none may",
    "2": "containers and runs agree",
    "3": "doors and runs agree",
    "5": "the log agrees with the database",
    "6": "the ledger agrees",
    "7": "every byte is sealed and accounted for",
    "8": "what is settled is unchanged",
    "9": "only finished runs have models",
    "10": "descendants of the erased are tainted",
}

Truth = Callable[[World, Gate], Iterator[str]]


def at_rest(world: World, gate: Gate) -> list[str]:
    """What is broken while no gate lives: between a fault and the restart."""
    return [*broken(gate.house), *_no_live_credential(world, gate), *_one_container(world, gate)]


def in_the_end(world: World, gate: Gate, *, told: bool) -> list[str]:
    """What is broken once the next gate has converged. ``told``: MLflow was there all the time."""
    found = list(broken(gate.house))
    for name, truth in TRUTHS.items():
        found += [f"{name}: {fault}" for fault in truth(world, gate)]
    found += [f"{RECONCILED}: {fault}" for fault in _reconciled(world, gate, told=told)]
    return found


def names() -> list[str]:
    """What is checked after each fault, by name."""
    return [*(f"{number}. {said}" for number, said in OWN.items()), *TRUTHS, RECONCILED]


def _all_settled(world: World, gate: Gate) -> Iterator[str]:
    for run in live(gate):
        yield f"{run} is {row(gate, run).state}"
    for run in runs_of(gate):
        seen = states(gate, run)
        if len(seen) != len(set(seen)):
            yield f"{run} was twice in a state: {' '.join(seen)}"


def _no_live_credential(world: World, gate: Gate) -> Iterator[str]:
    """Tokens of runs and wraps in Vault, whether the gate knows of them or not."""
    stand = {row(gate, run).state for run in runs_of(gate)}
    if not stand <= UNLOCKED_ON:
        return
    now = world.clock().timestamp()
    for name, token in world.vault.tokens.items():
        if token.policies[0].startswith("run-") and world.vault.live(name):
            yield f"a run's token lives for {token.ends - now:.0f} s more"
    for wrap in world.vault.wraps.values():
        if wrap.ends > now:
            yield f"a wrap of {wrap.path} lives for {wrap.ends - now:.0f} s more"


def _one_container(world: World, gate: Gate) -> Iterator[str]:
    for run, times in Counter(world.engine.started).items():
        if times > 1:
            yield f"{run} was started {times} times"


def _no_container(world: World, gate: Gate) -> Iterator[str]:
    yield from _one_container(world, gate)
    for run, container in world.engine.containers.items():
        if container.alive:
            yield f"the container of {run} lives"


def _no_folder(world: World, gate: Gate) -> Iterator[str]:
    places = world.places
    for run in runs_of(gate):
        for folder in (places.door(run), places.staging(run), places.incoming(run)):
            if folder.exists():
                yield f"{folder.parent.name}/{run} is left"
    for door in places.doors.iterdir():
        yield f"doors/{door.name} is left"


def _charged_once(world: World, gate: Gate) -> Iterator[str]:
    """A reservation for each data subject, and one end of it: charged when a recipe may have run."""
    rows = gate.house.store.read(lambda c: c.execute(sa.select(budget)).all())
    for run in runs_of(gate):
        end = "charged" if RunState.TRAINING in states(gate, run) else "released"
        due = Counter((s, kind) for s in row(gate, run).plan["subjects"] for kind in ("reserved", end))
        found = Counter((r.subject, r.kind) for r in rows if r.run == run)
        if found != due:
            yield f"{run}: the rows are {sorted(found.items())}"


def _log_verifies(world: World, gate: Gate) -> Iterator[str]:
    """As an auditor does it, with the gate's public key alone."""
    yield from _evidence(gate).faults


def _reconciled(world: World, gate: Gate, *, told: bool) -> Iterator[str]:
    """What was signed is what MLflow shows: at once where it was there, after a repair where it was not."""
    found = _evidence(gate)
    signed = signed_runs(found.statements.values(), found.taints, found.withdrawn)
    if told:
        for other in compare(signed, world.tracking.survey()):
            yield f"{other.kind} {other.subject}: {other.what}"
    for other in world.tracking.repair(signed):
        yield f"after the repair, {other.kind} {other.subject}: {other.what}"


def _evidence(gate: Gate) -> audit.Verified:
    house = gate.house
    log.checkpoint(house.store, house.vault.signer, house.clock())
    return audit.verify_evidence(audit.Evidence.from_json(report.evidence(house)), house.trust("gate"))


RECONCILED = "MLflow shows what was signed"
TRUTHS: Mapping[str, Truth] = {
    "every run is settled, through each state once": _all_settled,
    "nothing lives in Vault": _no_live_credential,
    "one container at most was started, none is left": _no_container,
    "no door, no staged file is left": _no_folder,
    "the budget was charged or released once": _charged_once,
    "the log and its statements verify": _log_verifies,
}
