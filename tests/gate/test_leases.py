"""One supervisor a run; who lost it cannot write about it."""

from __future__ import annotations

import pytest

from sandbox.errors import Conflict
from sandbox.gate.runs import leases
from sandbox.gate.runs.leases import LEASE_S, LeaseLost
from tests.gate.world import admit

pytestmark = pytest.mark.both_databases


@pytest.fixture
def run(gate):
    return admit(gate)


@pytest.fixture
def take(gate, run):
    def take(owner: str, now: float = 0.0, *, alone: bool = False):
        return gate.house.store.transact(lambda c: leases.take(c, run, owner, now, alone=alone))

    return take


def test_a_run_has_one_supervisor_until_its_lease_ends(take):
    take("one:a")
    with pytest.raises(Conflict):
        take("two:b", LEASE_S - 1)
    assert take("two:b", LEASE_S + 1).epoch == 2


def test_the_only_gate_of_a_machine_takes_over_at_once_and_another_machines_never(take):
    take("one:a")
    assert take("one:b", alone=True).epoch == 2
    with pytest.raises(Conflict):
        take("two:c", alone=True)


def test_a_renewed_lease_lasts(gate, take):
    lease = take("one:a")
    gate.house.store.transact(lambda c: leases.renew(c, lease, 15.0))
    with pytest.raises(Conflict):
        take("two:b", LEASE_S + 1)


def test_who_lost_it_may_neither_renew_nor_write(gate, take):
    old = take("one:a")
    new = take("one:b", alone=True)
    for act in (leases.require, lambda c, lease: leases.renew(c, lease, 0.0)):
        with pytest.raises(LeaseLost):
            gate.house.store.transact(lambda c, act=act: act(c, old))
        gate.house.store.transact(lambda c, act=act: act(c, new))


def test_an_owner_that_is_gone_is_outlived_whatever_its_clock_said(gate, take):
    """It claimed the run by a clock that was an hour ahead, and died: nobody waits for that hour."""
    take("one:a", 3600.0)
    ticks, patience = [0.0], leases.Patience(lambda: ticks[0])
    found = []
    for second in range(0, 60, 5):
        ticks[0] = float(second)
        with pytest.raises(leases.Held) as held:
            take("two:b", float(second))
        found.append(patience.outlived(held.value.seen))
    assert found == [second > LEASE_S for second in range(0, 60, 5)]
    seen = held.value.seen
    run = held.value.args[0].split()[1]
    claim = lambda c: leases.take(c, run, "two:b", 60.0, alone=False, outlived=seen)  # noqa: E731
    assert gate.house.store.transact(claim).epoch == 2


def test_an_owner_that_renews_is_never_outlived(gate, take):
    """Though its clock was set back meanwhile, so that what it renews ends earlier than before."""
    lease = take("one:a", 3600.0)
    ticks, patience = [0.0], leases.Patience(lambda: ticks[0])
    for second in range(0, 60, 5):
        ticks[0] = float(second)
        gate.house.store.transact(lambda c, now=1800.0 + second: leases.renew(c, lease, now))
        with pytest.raises(leases.Held) as held:
            take("two:b", float(second))
        assert not patience.outlived(held.value.seen)
    stale = leases.Claim(1, 1.0)
    with pytest.raises(leases.Held):
        gate.house.store.transact(
            lambda c: leases.take(c, lease.run, "two:b", 60.0, alone=False, outlived=stale)
        )
