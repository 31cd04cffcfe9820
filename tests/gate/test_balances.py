"""What people are told of a budget: both accountants, the cap, since when there is no bound."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.cli.main import main
from sandbox.errors import Refused, Usage
from sandbox.gate.database.store import Store
from sandbox.gate.ledger import balances, mark
from sandbox.gate.ledger.invariants import broken
from sandbox.gate.routes import report
from sandbox.gate.runs import replan
from sandbox.gate.subjects import rights
from sandbox.policy import epsilon
from sandbox.policy.epsilon import Mechanism
from sandbox.runs import Privacy, RunState
from tests.gate import scripts
from tests.gate.test_replay import ask  # noqa: F401 - a fixture
from tests.gate.test_withdrawal import replanning, stopped  # noqa: F401 - a fixture
from tests.gate.world import ANNA, BEN, DATASET, ENGINEER, admit, reaches, request, run_of

PRIVATE = Privacy("speaker", 4.0, 1e-5, 1.0, 1.0)


def told(gate) -> dict[str, dict[str, Any]]:
    return {one["subject"]: one for one in balances.told(gate.house.store)}


@pytest.fixture
def outside(monkeypatch) -> list[str]:
    """Every composition, by name; one that is asked for inside a transaction of any kind fails, cached or not."""
    inside, asked = threading.local(), list[str]()

    def entering(name: str) -> Callable[..., Any]:
        original = getattr(Store, name)

        def entered(self: Store, work: Callable[..., Any]) -> Any:
            inside.depth = getattr(inside, "depth", 0) + 1
            try:
                return original(self, work)
            finally:
                inside.depth -= 1

        return entered

    def counting(name: str) -> Callable[..., Any]:
        original = getattr(epsilon, name)

        def counted(*given: Any) -> Any:
            assert not getattr(inside, "depth", 0), f"{name} was counted inside a transaction"
            asked.append(name)
            return original(*given)

        return counted

    for name in ("transact", "read"):
        monkeypatch.setattr(Store, name, entering(name))
    for name in ("spent", "bound", "sigma_for"):
        monkeypatch.setattr(epsilon, name, counting(name))
    return asked


def test_nothing_is_composed_inside_a_transaction(gate, ask, outside):  # noqa: F811
    run_of(gate, request(privacy=PRIVATE))
    run_of(gate)
    with pytest.raises(Refused):
        admit(gate, request(privacy=Privacy("speaker", 7.5, 1e-5, 1.0, 1.0)))
    before = len(outside)
    assert {"spent", "sigma_for"} <= set(outside)
    ask(ENGINEER, "/v1/budgets")
    report.evidence(gate.house)
    assert broken(gate.house) == []
    mark.check_mark(gate.house)
    assert outside.count("bound") >= 4 and len(outside) > before


def test_the_guard_of_that_test_bites(gate, outside):
    with pytest.raises(AssertionError, match="inside a transaction"):
        gate.house.store.read(lambda _: epsilon.spent([Mechanism(2.0, 1.0, 4)], 1e-5))


def test_both_accountants_are_told_and_the_upper_bound_is_above(gate, ask):  # noqa: F811
    run_of(gate, request(privacy=PRIVATE))
    (anna, ben) = ask(ENGINEER, "/v1/budgets")["items"]
    assert (anna["subject"], ben["subject"], anna["dataset"], anna["runs"]) == (ANNA, BEN, DATASET, 1)
    assert 0 < anna["epsilon"] <= 4.0 < anna["cap"] == 8.0
    assert anna["epsilon"] < anna["rdp"] and anna["delta"] == 1e-5
    assert anna["no_bound_since"] is None


@pytest.mark.parametrize("delta", [1e-5, 1e-7])
@pytest.mark.parametrize(
    "history",
    [
        [(2.0, 1.0, 4)],
        [(1e4, 1.0, 1)],
        [(0.5, 0.01, 500)],
        [(100.0, 0.01, 10_000)],
        [(5000.0, 0.5, 100_000)],
        [(2.0, 1.0, 4), (1.1, 0.1, 100)],
    ],
    ids=str,
)
def test_rdp_is_never_below_pld(history, delta):
    runs = [Mechanism(*one) for one in history]
    assert 0 <= epsilon.spent(runs, delta) < epsilon.bound(runs, delta)


def test_a_hundred_who_ask_for_one_balance_at_once_count_once(monkeypatch):
    original, counted = epsilon._compose, list[object]()

    def counting(*given: Any) -> float:
        counted.append(given[1])
        return original(*given)

    monkeypatch.setattr(epsilon, "_compose", counting)
    history, start = [Mechanism(3.1415, 0.25, 7)], threading.Barrier(100, timeout=60)
    found = list[float]()

    def asks() -> None:
        start.wait()
        found.append(epsilon.spent(history, 1e-5))

    threads = [threading.Thread(target=asks) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 100 and len(set(found)) == 1 and len(counted) == 1


def test_without_dp_there_is_no_bound_from_the_recipes_first_step_on(world, gate):
    """Not while it only waits to start, at once when it trains, and for good; a private run goes on all the same."""
    run_of(gate, request(privacy=PRIVATE))
    world.script = scripts.waits
    run = admit(gate)
    assert told(gate)[ANNA]["no_bound_since"] is None
    gate.supervision.begin(run)
    reaches(gate, run, RunState.TRAINING)
    assert told(gate)[ANNA]["no_bound_since"] == told(gate)[BEN]["no_bound_since"] == run
    gate.house.launcher.kill(run)
    gate.supervision.join(run, 60)
    assert told(gate)[ANNA]["no_bound_since"] == run
    assert told(gate)[ANNA]["epsilon"] <= 4.0
    admit(gate, request(privacy=Privacy("speaker", 1.0, 1e-5, 1.0, 1.0)))


def test_a_run_without_dp_that_never_trained_takes_no_bound_away(gate, monkeypatch):
    class Away:
        def __getattr__(self, name: str) -> Any:
            raise Refused("no")

    run = admit(gate)
    object.__setattr__(gate.house, "tracking", Away())
    gate.supervision.begin(run)
    assert gate.supervision.join(run, 60)
    assert told(gate)[ANNA]["no_bound_since"] is None


def test_who_is_exhausted_is_named_and_how_to_leave_them_out(gate):
    run_of(gate, request(privacy=Privacy("speaker", 7.0, 1e-5, 1.0, 1.0), subjects=(ANNA,)))
    again = Privacy("speaker", 6.0, 1e-5, 1.0, 1.0)
    with pytest.raises(Refused) as refused:
        admit(gate, request(privacy=again))
    (reason,) = refused.value.reasons
    assert (reason.code, reason.about) == ("budget.exhausted", ANNA)
    assert "name the others under `subjects:`" in reason.mend
    assert admit(gate, request(privacy=again, subjects=(BEN,)))


def test_who_is_exhausted_can_be_left_out_of_a_run_that_is_asked_for_again(replanning):  # noqa: F811
    world, gate = replanning.world, replanning.gate
    run = stopped(world, gate)
    with pytest.raises(Usage, match="spk_none was not in"):
        replan.again(gate, run, ENGINEER, rights.barred(gate), "", ["spk_none"])
    with pytest.raises(Refused) as refused:
        replan.again(gate, run, ENGINEER, rights.barred(gate), "", [BEN])
    assert refused.value.code == "subjects.empty"  # the other one withdrew


def test_one_command_shows_them(gate, ask, monkeypatch, capsys):  # noqa: F811
    import httpx

    from sandbox import client
    from sandbox.client import Service
    from tests.fakes.served import Name

    run_of(gate, request(privacy=PRIVATE))
    answer = lambda asked: httpx.Response(200, json=ask(ENGINEER, asked.url.path, dict(asked.url.params)))  # noqa: E731
    transport = httpx.MockTransport(answer)
    monkeypatch.setattr(
        client, "gate", lambda state: Service("gate", state, Name(ENGINEER), transport=transport)
    )
    assert main(["data", "budgets", DATASET]) == 0
    out = capsys.readouterr().out
    assert "at most (RDP)" in out and ANNA in out and "no bound since" in out
    assert main(["--json", "data", "budgets", "others"]) in (0, 2)
