"""The gate's upkeep: a duty that fails holds no other up."""

from __future__ import annotations

import threading

import pytest

from sandbox.gate import upkeep

DUTIES = ("honour", "honour_agreements", "announce")


class Once(threading.Event):
    """Over after one turn."""

    def wait(self, timeout: float | None = None) -> bool:
        return True


@pytest.mark.parametrize("broken", DUTIES)
def test_one_duty_that_fails_holds_no_other_up(gate, monkeypatch, broken: str) -> None:
    done: list[str] = []

    def duty(name: str):
        def work(*_: object) -> None:
            if name == broken:
                raise RuntimeError("odd")
            done.append(name)

        return work

    for name in DUTIES:
        monkeypatch.setattr(upkeep, name, duty(name))
    monkeypatch.setattr(gate.registers, "changed", lambda: True)
    upkeep.upkeep(gate, lambda: 900, Once(), lambda: None)
    assert sorted(done) == sorted(set(DUTIES) - {broken})
