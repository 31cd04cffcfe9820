"""A decrypt by a run's own token before the run had its order is a thief's: only the gate had the wrap until then."""

from __future__ import annotations

import sqlalchemy as sa

from sandbox.gate.database.tables import credentials
from sandbox.gate.runs.launches import Launch
from tests.fakes.audit_lines import answer
from tests.gate.test_detection import VOICE, rules, write
from tests.gate.test_detection import watched as watched  # noqa: PLC0414 - a fixture
from tests.gate.world import run_of


def test_a_decrypt_before_the_order_is_of_no_grant(world, watched, monkeypatch) -> None:
    start, at = Launch.start, []

    def slow(launch: Launch) -> None:
        start(launch)
        at.append(world.clock())
        world.pass_time(seconds=61)

    monkeypatch.setattr(Launch, "start", slow)
    found = run_of(watched)
    assert found.failure == "credential.expired"
    asked = sa.select(credentials.c.audit_hash).where(
        credentials.c.run == found.id, credentials.c.kind == "token"
    )
    mark = watched.house.store.read(lambda c: c.execute(asked).scalar())
    write(watched, answer(VOICE, grant=found.grant, accessor=mark), at=at[0])
    world.pass_time(seconds=30)
    watched.detection.look()
    assert "decrypt-of-no-grant" in rules(watched)
