"""Row, event and log entry of a transition: all or none, and never over a kill or out of the end."""

from __future__ import annotations

import json
import time

import pytest

from sandbox.errors import Conflict, NotFound
from sandbox.gate.ledger import log
from sandbox.gate.runs import chronicle, leases
from sandbox.gate.runs.chronicle import Killed
from sandbox.gate.runs.leases import LeaseLost
from sandbox.runs import RunState
from tests.gate.world import admit, row, states

S = RunState
FORWARD = [S.PREPARED, S.MINTED, S.STARTED, S.ORDERED, S.UNLOCKED, S.TRAINING]


class Hand:
    """A supervisor's hand on one run."""

    def __init__(self, gate) -> None:
        self.gate, self.store, self.run = gate, gate.house.store, admit(gate)
        self.lease = self.store.transact(
            lambda c: leases.take(c, self.run, "here:a", time.time(), alone=True)
        )

    def go(self, *after: RunState, **columns) -> None:
        now = self.gate.house.clock()
        for state in after:
            self.store.transact(lambda c, s=state: chronicle.advance(c, self.lease, s, now, **columns))

    def kill(self) -> bool:
        now = self.gate.house.clock()
        return self.store.transact(lambda c: chronicle.ask_kill(c, self.run, "b.operator", "asked", now))

    def entries(self) -> list[dict]:
        return [json.loads(entry) for entry in self.store.read(log.entries)]


@pytest.fixture
def hand(gate):
    return Hand(gate)


def test_a_transition_is_a_row_an_event_and_an_entry(hand):
    before = len(hand.entries())
    hand.go(S.PREPARED, tracking="ml-1")
    found = row(hand.gate, hand.run)
    assert (found.state, found.tracking) == ("prepared", "ml-1")
    (entry,) = hand.entries()[before:]
    assert (entry["kind"], entry["run"], entry["state"], entry["by"]) == (
        "state",
        hand.run,
        "prepared",
        "gate",
    )
    told = hand.store.read(lambda c: chronicle.since(c, hand.run, 0))[-1]
    assert told.data == {"state": "prepared", "log_entry": before}


def test_a_transition_that_fails_leaves_no_trace(hand):
    before = hand.entries()
    with pytest.raises(Conflict):
        hand.go(S.TRAINING)
    assert hand.entries() == before and states(hand.gate, hand.run) == ["admitted"]


@pytest.mark.parametrize("reached", range(len(FORWARD)), ids=[f"before {s}" for s in FORWARD])
def test_a_kill_stops_every_step_but_the_end(hand, reached):
    hand.go(*FORWARD[:reached])
    assert hand.kill()
    with pytest.raises(Killed):
        hand.go(FORWARD[reached])
    hand.go(S.ENDED, S.SETTLED)
    assert row(hand.gate, hand.run).state == "settled"


def test_nothing_leads_out_of_the_end(hand):
    hand.go(S.ENDED, S.SETTLED)
    for state in S:
        with pytest.raises(Conflict):
            hand.go(state)


def test_a_run_is_killed_once_and_not_after_its_end(hand):
    assert hand.kill() and not hand.kill()
    assert [entry["by"] for entry in hand.entries() if entry["kind"] == "kill"] == ["b.operator"]
    other = Hand(hand.gate)
    other.go(S.ENDED)
    assert not other.kill()


def test_whoever_lost_the_run_moves_nothing(hand):
    hand.store.transact(lambda c: leases.take(c, hand.run, "here:b", time.time(), alone=True))
    with pytest.raises(LeaseLost):
        hand.go(S.PREPARED)


def test_live_runs_are_those_that_are_not_final(hand):
    other = Hand(hand.gate)
    hand.go(S.ENDED)
    assert set(hand.store.read(chronicle.live)) == {hand.run, other.run}
    hand.go(S.SETTLED)
    assert hand.store.read(chronicle.live) == [other.run]


def test_an_unknown_run_is_not_found(gate):
    with pytest.raises(NotFound):
        gate.house.store.read(lambda c: chronicle.find(c, "r-9999"))
