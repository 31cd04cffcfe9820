"""A part of the kills of ``make faults``: some points of every kind, of a kill of a scope and of everything."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox.gate.incidents import catching_up
from tests.faults import kills
from tests.faults.wires import LAUNCHER, STORE, TRACKING, VAULT


@pytest.mark.parametrize("scope", kills.SCOPES, ids=["agreement", "all"])
def test_a_kill_that_goes_wrong_anywhere_is_done_in_the_end(scope, founded):
    points = kills.record(founded, scope)
    assert {point.site.hand for point in points} == {STORE, VAULT, LAUNCHER, TRACKING}
    found = kills.cases(points)
    with ThreadPoolExecutor(3) as pool:
        rows = list(
            pool.map(lambda case: kills.play(founded, scope, *case), found[:: max(1, len(found) // 9)])
        )
    assert [row for row in rows if not row.holds] == []


def test_red_when_nobody_goes_on_trying(founded, monkeypatch):
    points = kills.record(founded, kills.SCOPES[0])
    point = next(point for point in points if point.site.call == "write auth/token/revoke-accessor")
    kind = next(kind for kind in kills.ITS if kind.name == "Vault goes away")
    monkeypatch.setattr(catching_up, "turn", lambda house, limit_s=0.0: (0, 0))
    monkeypatch.setattr(kills, "END_S", 1.5)
    assert not kills.play(founded, kills.SCOPES[0], point, kind).holds
