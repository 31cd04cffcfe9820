"""Break-glass at the gate: an alert within a look of the register, one each, and access that the clock ends."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from sandbox.custodian import access_requests as requests
from sandbox.custodian.access import revoke_access
from sandbox.errors import Refused
from sandbox.gate.alarms.break_glass import RULE, announce
from sandbox.gate.database.tables import alerts
from sandbox.gate.gate import Gate
from sandbox.gate.upkeep import upkeep
from tests.fakes.studio import STEWARD
from tests.gate.world import DATASET, ENGINEER, OPERATOR, OTHER, World, admit, request, row, until


def opened(world: World, lasts: str = "PT2H") -> str:
    """An opened access for somebody who has none."""
    said = {"person": OTHER, "dataset": DATASET, "purposes": ["train"], "for": lasts, "reason": "i-3kd9"}
    asked = requests.ask_break_glass(world.desk, OPERATOR, said)["id"]
    return str(requests.confirm(world.desk, STEWARD, asked)["access"])


def raised(gate: Gate) -> list[dict[str, object]]:
    asked = sa.select(alerts).where(alerts.c.rule == RULE)
    return [dict(found) for found in gate.house.store.read(lambda c: c.execute(asked).mappings().all())]


def codes(gate: Gate) -> set[str]:
    with pytest.raises(Refused) as caught:
        admit(gate, request(), OTHER)
    return {reason.code for reason in caught.value.reasons}


def test_an_opened_access_raises_one_alert_that_names_everybody(world: World, gate: Gate) -> None:
    access = opened(world)
    assert announce(gate.house, gate.registers.read()) == [access]
    assert announce(gate.house, gate.registers.read()) == []
    (alert,) = raised(gate)
    assert alert["severity"] == "critical"
    assert alert["about"] == {"access": access, "person": OTHER, "dataset": DATASET}
    detail = alert["detail"]
    assert isinstance(detail, dict)
    assert (detail["asked_by"], detail["confirmed_by"], detail["until"]) == (
        OPERATOR,
        STEWARD,
        "2026-11-24T14:00:00Z",
    )


def test_what_was_only_asked_for_opens_and_raises_nothing(world: World, gate: Gate) -> None:
    said = {"person": OTHER, "dataset": DATASET, "purposes": ["train"], "for": "PT2H", "reason": "x"}
    requests.ask_break_glass(world.desk, OPERATOR, said)
    assert announce(gate.house, gate.registers.read()) == [] and codes(gate) == {"access.missing"}


def test_the_gate_sees_it_by_itself_long_before_a_minute_is_over(world: World, gate: Gate) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=upkeep, args=(gate, lambda: 600, stop, stop.set), daemon=True)
    thread.start()
    try:
        opened(world)
        until(lambda: bool(raised(gate)), 60)
    finally:
        stop.set()
        thread.join(20)
    assert len(raised(gate)) == 1


def test_one_that_was_revoked_before_anybody_looked_is_told_of_all_the_same(world: World, gate: Gate) -> None:
    access = opened(world)
    revoke_access(world.desk, STEWARD, access)
    assert announce(gate.house, gate.registers.read()) == [access] and codes(gate) == {"access.missing"}


def test_it_gives_access_until_the_clock_says_no(world: World, gate: Gate) -> None:
    opened(world)
    run = admit(gate, request(), OTHER)
    assert row(gate, run).plan["expires"] <= "2026-11-24T14:00:00Z"
    world.pass_time(hours=2)
    assert codes(gate) == {"access.expired"}


def test_a_run_under_it_ends_with_it(world: World, gate: Gate) -> None:
    opened(world, "PT10M")
    assert row(gate, admit(gate, request(), OTHER)).plan["expires"] == "2026-11-24T12:10:00Z"


def test_it_is_for_its_purpose_alone(world: World, gate: Gate) -> None:
    opened(world)
    assert admit(gate) and admit(gate, request(), OTHER)
    assert gate.registers.read().access and ENGINEER != OTHER
    with pytest.raises(Refused) as caught:
        gate.admission.ask(request(purpose="test"), OTHER)
    assert "access.purpose_missing" in {reason.code for reason in caught.value.reasons}
