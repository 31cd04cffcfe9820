"""One supervisor a run; who lost it cannot write about it."""

from __future__ import annotations

import pytest

from sandbox.errors import Conflict
from sandbox.gate import leases
from sandbox.gate.leases import LEASE_S, LeaseLost
from tests.gate.world import admit


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
