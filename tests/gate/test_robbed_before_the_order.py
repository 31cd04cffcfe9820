"""A wrap that somebody opened before the order is a theft, also where the run ends before it was given."""

from __future__ import annotations

from sandbox.gate.runs import chronicle
from sandbox.gate.runs.chronicle import Killed
from sandbox.gate.runs.launches import Launch
from tests.gate.test_theft import opened
from tests.gate.test_theft import steals as steals  # noqa: PLC0414 - a fixture
from tests.gate.world import OPERATOR, run_of


def test_a_kill_before_the_order_hides_no_theft(gate, steals, monkeypatch) -> None:
    def killed(launch: Launch) -> None:
        now = gate.house.clock()
        gate.house.store.transact(lambda c: chronicle.ask_kill(c, launch._run, OPERATOR, "asked", now))
        raise Killed("killed before its order")

    monkeypatch.setattr(Launch, "start", killed)
    assert run_of(gate).outcome == "killed"
    assert opened(gate)
