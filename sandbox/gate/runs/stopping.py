"""A run whose engineer asks for its end in order: the keeper is told, the recipe saves what it has, and it finishes.

Not a kill: nothing is revoked that was not dead already, and what the run made are results. The wish stands in the log
and among the run's events, so a gate that restarts still knows it. Who does not listen within the grace has failed.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import NotPermitted, Refused
from sandbox.gate.database.tables import events
from sandbox.gate.ledger import log
from sandbox.gate.routes.standing import STOPPERS, roles
from sandbox.gate.runs import chronicle
from sandbox.gate.runs.states import FINAL
from sandbox.runs import RunState

if TYPE_CHECKING:
    from sandbox.gate.gate import Gate

EVENT = "stop"
REASON = "asked"  # what the keeper is told
GRACE_S = 120.0  # a step of a large model, and sealing its checkpoint


def ask(gate: Gate, run: str, person: str) -> dict[str, object]:
    """Ask for the end; a second time changes nothing.

    Raises:
        NotPermitted: it is somebody else's, and the person may not stop runs.
        Refused: it has ended, or is being killed.
    """
    house, now = gate.house, gate.house.clock()
    row = house.store.read(lambda connection: chronicle.find(connection, run))
    if row.person != person and not set(roles(gate.registers, person)) & set(STOPPERS):
        raise NotPermitted(f"{person} may stop only their own runs", mend="an operator may stop any")
    return {"run": run, "stopping": house.store.transact(lambda c: _note(c, run, person, now))}


def _note(connection: Connection, run: str, by: str, now: datetime) -> bool:
    """Whether it is new."""
    row = chronicle.find(connection, run)
    if row.kill is not None or RunState(row.state) in {*FINAL, RunState.ENDED}:
        raise Refused(f"{run} has ended already", code="run.ended", mend=f"sandbox runs show {run}")
    if Wish(run).stands(connection):
        return False
    log.append(connection, EVENT, now, by, run=run)
    chronicle.happened(connection, run, EVENT, now, {"by": by})
    return True


class Wish:
    """Whether somebody asked for a run's end. Looked at often: each time only what happened since the last."""

    def __init__(self, run: str) -> None:
        self._run, self._seen, self._stands = run, 0, False

    def stands(self, connection: Connection) -> bool:
        if not self._stands:
            asked = sa.select(events.c.id, events.c.kind).where(events.c.run == self._run)
            for row in connection.execute(asked.where(events.c.id > self._seen).order_by(events.c.id)):
                self._seen, self._stands = row.id, self._stands or row.kind == EVENT
        return self._stands
