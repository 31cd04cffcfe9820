"""What data subjects' rights ask of the gate: live runs stop, descendants are tainted (CONTRACTS, "Registers").

An erasure that was asked for, or a consent that no longer stands, ends every live run that holds that voice. Once the
key is destroyed, every model made from it is tainted; each step may run twice.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox import lineage
from sandbox.errors import SandboxError
from sandbox.gate import chronicle, heritage, log
from sandbox.gate.gate import Gate
from sandbox.gate.tables import models
from sandbox.lineage import Kind
from sandbox.policy.registers import Registers
from sandbox.service import journal

Speaker = tuple[str, str]
ERASED = "erased"
_GONE = ("destroyed", "certified")


def honour(gate: Gate, known: Registers) -> None:
    """Bring runs and models in line with what the registers say."""
    house, now = gate.house, gate.house.clock()
    barred = barred_speakers(known)

    def stop(connection: Connection) -> list[str]:
        found = []
        for run in chronicle.live(connection):
            held = set(heritage.speakers(connection, run)) & barred
            if held and chronicle.ask_kill(connection, run, "gate", "a voice was withdrawn", now):
                found.append(run)
        return found

    for run in house.store.transact(stop):
        gate.supervision.strike(run)
        journal.say("run.withdrawn", run=run)
    erased = [key for key, entry in known.erasures.items() if entry.status in _GONE]
    for speaker in erased:
        taint(gate, speaker)


def barred_speakers(known: Registers) -> set[Speaker]:
    """Whose voice no run may hold: erasure asked for, or a consent that was withdrawn or refused."""
    found = set(known.erasures)
    found |= {key for key, entry in known.consents.items() if entry.status != "ConsentGiven"}
    return found


def taint(gate: Gate, speaker: Speaker) -> list[str]:
    """Mark every model that descends from the speaker; the models newly marked."""
    house, now = gate.house, gate.house.clock()
    why = f"{ERASED} {speaker[0]}/{speaker[1]}"

    def mark(connection: Connection) -> list[tuple[str, int, str]]:
        graph = heritage.graph(connection)
        start = lineage.subject(*speaker)
        below = (
            {node.id for node in graph.descendants(start) if node.kind is Kind.MODEL}
            if start in graph
            else set()
        )
        fresh = []
        for row in connection.execute(sa.select(models).where(models.c.taint.is_(None))):
            if f"{row.name}@{row.version}" in below:
                chosen = sa.and_(models.c.name == row.name, models.c.version == row.version)
                connection.execute(models.update().where(chosen).values(taint=why))
                log.append(connection, "taint", now, "gate", model=f"{row.name}@{row.version}", why=why)
                fresh.append((row.name, row.version, row.run))
        return fresh

    marked = house.store.transact(mark)
    for name, version, run in marked:
        try:
            house.tracking.taint(run, f"{name}@{version}", why)
        except SandboxError as fault:
            journal.trouble("tracking.behind", fault, run=run)
    return [f"{name}@{version}" for name, version, _ in marked]
