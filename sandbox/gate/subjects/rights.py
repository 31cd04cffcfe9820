"""What data subjects' rights ask of the gate: live runs stop, descendants are tainted (CONTRACTS, "Registers").

An erasure that was asked for, a consent that no longer stands, or an approval of access to a minor that was taken back
ends every live run that holds that voice. What was made from a withdrawn voice is marked; once the key is destroyed, it
is tainted. Each step may run twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox import lineage
from sandbox.errors import EvidenceMismatch, SandboxError
from sandbox.gate.database.tables import models
from sandbox.gate.house import House
from sandbox.gate.ledger import log
from sandbox.gate.runs import chronicle
from sandbox.gate.runs.replan import ENDED, WITHDRAWN
from sandbox.gate.subjects import heritage, minority, withdrawal
from sandbox.lineage import Kind, Lineage
from sandbox.policy.ends import next_edge
from sandbox.policy.registers import Registers
from sandbox.service import journal

if TYPE_CHECKING:
    from sandbox.gate.gate import Gate

Speaker = tuple[str, str]
ERASED = "erased"
UNAPPROVED = "the approval of access to a minor ended"
_GONE = ("destroyed", "certified")


def honour(gate: Gate, known: Registers) -> None:
    """Bring runs and models in line with what the registers say."""
    house, now = gate.house, gate.house.clock()
    gone, ended = barred_speakers(known), ended_speakers(known, now)
    named = minority.approvers(gate.registers, known)

    def stop(connection: Connection) -> list[str]:
        found = []
        for run in chronicle.live(connection):
            held = set(heritage.speakers(connection, run))
            plan = chronicle.granted(chronicle.find(connection, run))
            if held & gone:
                why = WITHDRAWN
            elif held & ended:
                why = ENDED
            elif minority.unapproved(plan, held, known, named, now):
                why = UNAPPROVED
            else:
                continue
            if chronicle.ask_kill(connection, run, chronicle.BY_GATE, why, now):
                found.append(run)
        return found

    for run in house.store.transact(stop):
        gate.supervision.strike(run)
        journal.say("run.withdrawn", run=run)
    withdrawal.mark(house, known)
    taint(house, erased(known))


def overtaken(house: House) -> list[str]:
    """Taint what was registered while, or after, somebody in it was erased; the models newly tainted.

    Registers that cannot be believed stop admission; once they are mended, they are honoured whole.
    """
    try:
        known = house.registers.read()
    except EvidenceMismatch as fault:
        journal.trouble("registers.unread", fault)
        return []
    withdrawal.mark(house, known)
    return taint(house, erased(known))


def barred(gate: Gate) -> set[Speaker]:
    """Everybody whose voice no run may hold now."""
    known = gate.registers.read()
    return barred_speakers(known) | ended_speakers(known, gate.house.clock())


def barred_speakers(known: Registers) -> set[Speaker]:
    """Whose voice no run may hold: erasure asked for, or a consent that was withdrawn or refused."""
    found = set(known.erasures)
    found |= {key for key, entry in known.consents.items() if entry.status != "ConsentGiven"}
    return found


def ended_speakers(known: Registers, now: datetime) -> set[Speaker]:
    """Whose consent ran out."""
    return {key for key, entry in known.consents.items() if now >= entry.expires}


def next_end(known: Registers, now: datetime) -> datetime | None:
    """When the next consent will have run out."""
    return next_edge((entry.expires for entry in known.consents.values()), now)


def erased(known: Registers) -> list[Speaker]:
    """Whose key is destroyed."""
    return [key for key, entry in known.erasures.items() if entry.status in _GONE]


def descendants(graph: Lineage, speaker: Speaker) -> set[str]:
    """Every model (``name@version``) that holds the speaker's voice."""
    start = lineage.subject(*speaker)
    if start not in graph:
        return set()
    return {node.id for node in graph.descendants(start) if node.kind is Kind.MODEL}


def unmarked(connection: Connection, speakers: Iterable[Speaker]) -> dict[tuple[str, int, str], Speaker]:
    """The models (name, version, run) without a taint that descend from one of ``speakers``, with the first of them."""
    graph = heritage.graph(connection)
    clean = {
        f"{row.name}@{row.version}": (row.name, row.version, row.run)
        for row in connection.execute(sa.select(models).where(models.c.taint.is_(None)))
    }
    found: dict[tuple[str, int, str], Speaker] = {}
    for speaker in speakers if clean else ():
        for model in sorted(descendants(graph, speaker) & set(clean)):
            found.setdefault(clean[model], speaker)
    return found


def taint(house: House, speakers: Collection[Speaker]) -> list[str]:
    """Mark every model that descends from one of ``speakers``; the models newly marked."""
    if not house.store.read(lambda connection: unmarked(connection, speakers)):
        return []
    now = house.clock()

    def mark(connection: Connection) -> dict[tuple[str, int, str], Speaker]:
        fresh = unmarked(connection, speakers)
        for (name, version, _), speaker in fresh.items():
            chosen = sa.and_(models.c.name == name, models.c.version == version)
            connection.execute(models.update().where(chosen).values(taint=_why(speaker)))
            log.append(connection, "taint", now, "gate", model=f"{name}@{version}", why=_why(speaker))
        return fresh

    marked = house.store.transact(mark)
    for (name, version, run), speaker in marked.items():
        try:
            house.tracking.taint(run, f"{name}@{version}", _why(speaker))
        except SandboxError as fault:
            journal.trouble("tracking.behind", fault, run=run)
    return [f"{name}@{version}" for name, version, _ in marked]


def _why(speaker: Speaker) -> str:
    return f"{ERASED} {speaker[0]}/{speaker[1]}"
