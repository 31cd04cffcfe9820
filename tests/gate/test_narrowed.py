"""Live runs under an agreement that changed: what it forbids now stops, what it still allows goes on."""

from __future__ import annotations

import threading

import pytest

from sandbox.custodian.status import activate, set_status
from sandbox.errors import Refused
from sandbox.gate.gate import Gate
from sandbox.gate.subjects.narrowed import honour_agreements
from sandbox.gate.upkeep import upkeep
from sandbox.statements import sha256
from tests.fakes.agreement import PARTY_A, agreement_yaml, signed
from tests.fakes.studio import STEWARD, activation
from tests.gate.world import AGREEMENT, World, admit, ended, row


def narrow(world: World, old: bytes, new: bytes) -> None:
    """Party A alone signs and activates a second version."""
    data = agreement_yaml(version=2, supersedes=sha256(agreement_yaml()))
    assert old in data
    data = data.replace(old, new, 1)
    activate(world.desk, STEWARD, activation(data, signed(data, PARTY_A)))


def test_a_run_that_the_new_version_forbids_is_stopped(world: World, gate: Gate, live: str) -> None:
    narrow(world, b"purposes: [train, test]", b"purposes: [test]")
    assert honour_agreements(gate, gate.registers.read()) == [live]
    found = ended(gate, live)
    assert found.outcome == "killed" and "purpose.not_for_dataset" in found.kill
    assert honour_agreements(gate, gate.registers.read()) == []


def test_a_run_that_it_still_allows_goes_on_and_none_begins_on_the_old_manifest(
    world: World, gate: Gate, live: str
) -> None:
    narrow(world, b"max_epsilon: 8.0", b"max_epsilon: 2.0")
    assert honour_agreements(gate, gate.registers.read()) == []
    assert row(gate, live).kill is None
    with pytest.raises(Refused) as caught:
        admit(gate)
    assert {reason.code for reason in caught.value.reasons} == {"dataset.agreement_outdated"}


@pytest.mark.parametrize("status", ["suspended", "terminated"])
def test_while_the_agreement_does_not_stand_nothing_under_it_goes_on(
    world: World, gate: Gate, live: str, status: str
) -> None:
    set_status(world.desk, STEWARD, AGREEMENT, status)
    assert honour_agreements(gate, gate.registers.read()) == [live]
    assert f"agreement.{status}" in ended(gate, live).kill


def test_an_agreement_that_cannot_be_read_any_more_allows_nothing(
    world: World, gate: Gate, live: str
) -> None:
    narrow(world, b"max_epsilon: 8.0", b"max_epsilon: 2.0")
    (world.places.agreements / f"{sha256(agreement_yaml())}.yaml").unlink()
    assert honour_agreements(gate, gate.registers.read()) == [live]


def test_nothing_changes_nothing(world: World, gate: Gate, live: str) -> None:
    assert honour_agreements(gate, gate.registers.read()) == [] and row(gate, live).kill is None


def test_the_gate_acts_on_it_by_itself(world: World, gate: Gate, live: str) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=upkeep, args=(gate, lambda: 600, stop, stop.set), daemon=True)
    thread.start()
    try:
        narrow(world, b"purposes: [train, test]", b"purposes: [test]")
        assert ended(gate, live, 60).outcome == "killed"
    finally:
        stop.set()
        thread.join(20)
