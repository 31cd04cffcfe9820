"""Two for the last of a budget, a hundred at once: exactly one wins, nothing is lost, everybody is answered."""

from __future__ import annotations

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa

from sandbox.gate.database import engines
from sandbox.gate.database.tables import budget as rows
from sandbox.gate.database.tables import decisions, runs
from sandbox.gate.ledger import budget, log
from sandbox.gate.ledger.invariants import broken
from sandbox.policy import epsilon
from sandbox.policy.epsilon import Mechanism
from sandbox.runs import Privacy
from tests.gate import racing
from tests.gate.racing import CAP, LAST
from tests.gate.world import DATASET, ENGINEER, request

ROUNDS = 1000
BETWEEN_PROCESSES = 50
ENGINEERS = 100


def judged(found: list[tuple[list[str], float]], rounds: int) -> None:
    """In every round one won, and the other was refused for the budget and nothing else."""
    (one, most), (other, most_of_other) = found
    assert Counter(tuple(sorted(both)) for both in zip(one, other, strict=True)) == {
        ("budget.exhausted", "won"): rounds
    }
    assert 0 < max(most, most_of_other) <= CAP


def test_of_two_runs_one_gets_the_last_of_the_budget(world, gate):
    both = racing.racers(gate, world.places.database)
    meeting = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda racer: racing.race(racer, meeting, ROUNDS), both))
    judged(found, ROUNDS)
    won = Counter(who for who, one in zip("ab", found, strict=True) for said in one[0] if said == "won")
    assert won["a"] and won["b"], "a race that the same one always wins is none"


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_so_it_is_between_two_processes(world, gate, database):
    both = racing.racers(gate, world.database or world.places.database)
    judged(racing.in_two_processes(both, BETWEEN_PROCESSES), BETWEEN_PROCESSES)


@pytest.fixture
def patient(monkeypatch):
    """A hundred turns take seconds, and on a busy machine longer than a gate lets anybody wait for theirs."""
    monkeypatch.setattr(engines, "BUSY_MS", 200_000)


@pytest.mark.usefixtures("patient")
@pytest.mark.both_databases
def test_a_hundred_engineers_ask_at_once_and_all_are_admitted(world, gate, database):
    """Runs that all fit: none is told that others were faster, no number is lost, everything is reserved once."""
    world.settings = replace(world.settings, live_runs_max=ENGINEERS)
    start, faults, found = threading.Barrier(ENGINEERS, timeout=60), list[Exception](), list[str]()

    def asks(number: int) -> None:
        start.wait()
        try:
            found.append(gate.admission.ask(request(), ENGINEER, key=f"k-{number}").run)
        except Exception as fault:  # noqa: BLE001 - told by the test's own thread
            faults.append(fault)

    threads = [threading.Thread(target=asks, args=(number,)) for number in range(ENGINEERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    assert faults == [] and len(set(found)) == ENGINEERS
    store = gate.house.store
    assert set(store.read(lambda c: c.execute(sa.select(runs.c.id)).scalars().all())) == set(found)
    assert (
        store.read(lambda c: c.execute(sa.select(sa.func.count()).select_from(decisions)).scalar())
        == ENGINEERS
    )
    reserved = store.read(
        lambda c: c.execute(sa.select(rows.c.run).where(rows.c.kind == "reserved")).scalars().all()
    )
    assert Counter(reserved) == dict.fromkeys(found, 2)
    entries = [json.loads(entry) for entry in store.read(log.entries)]
    assert sum(entry["kind"] == "decision" for entry in entries) == ENGINEERS
    assert broken(gate.house) == []


@pytest.mark.usefixtures("patient")
@pytest.mark.both_databases
def test_a_hundred_ask_at_once_for_a_budget_of_few_and_all_are_answered(world, gate, database):
    world.settings = replace(world.settings, live_runs_max=ENGINEERS)
    asked = request(privacy=replace(LAST, epsilon=3.0))
    start, answers, faults = threading.Barrier(ENGINEERS, timeout=60), list[str](), list[Exception]()

    def asks() -> None:
        from sandbox.errors import Refused

        start.wait()
        try:
            gate.admission.ask(asked, ENGINEER)
            answers.append("admitted")
        except Refused as fault:
            answers.append(" ".join(sorted({reason.code for reason in fault.reasons})) or fault.code)
        except Exception as fault:  # noqa: BLE001 - told by the test's own thread
            faults.append(fault)

    threads = [threading.Thread(target=asks) for _ in range(ENGINEERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    assert faults == [] and len(answers) == ENGINEERS
    fits = _fits(gate)
    assert Counter(answers) == {"admitted": fits, "budget.exhausted": ENGINEERS - fits}
    (balance, *_) = gate.house.store.read(lambda c: budget.ledger(c, DATASET)).standing.values()
    assert len(balance) == fits and epsilon.spent(balance, LAST.delta) <= CAP
    assert broken(gate.house) == []


def _fits(gate) -> int:
    """How many such runs a cap of 8 bears."""
    plan = gate.house.store.read(lambda c: c.execute(sa.select(runs.c.plan)).scalars().first())
    granted = Privacy(
        **{name: plan["privacy"][name] for name in ("unit", "epsilon", "delta", "clip", "sample_rate")}
    )
    one = Mechanism(plan["privacy"]["sigma"], granted.sample_rate, plan["privacy"]["steps"])
    count = 1
    while epsilon.spent([one] * (count + 1), granted.delta) <= CAP:
        count += 1
    return count
