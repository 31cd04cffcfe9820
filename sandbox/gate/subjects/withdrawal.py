"""What a withdrawn consent leaves behind: models made from that voice are marked, for good, and are no input any more.

The mark is not erasure's taint: the voice may still be kept and the model is no residue of a destroyed key. A consent
given anew covers what is made from then on; what was made before it keeps its mark.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox import lineage
from sandbox.errors import SandboxError
from sandbox.gate.database.tables import models, runs, withdrawals
from sandbox.gate.house import House
from sandbox.gate.ledger import log
from sandbox.gate.subjects import heritage
from sandbox.lineage import Kind, Lineage
from sandbox.policy.registers import Registers
from sandbox.runs import from_utc, utc
from sandbox.service import journal

TELL_S = 1.0
Speaker = tuple[str, str]
Mark = tuple[str, str, str]  # model (name@version), dataset, subject


def due(graph: Lineage, asked: Mapping[str, datetime], withdrawn: Mapping[Speaker, datetime]) -> set[Mark]:
    """The marks that must stand. ``asked``: when the run of each model was asked for. Pure."""
    found = set()
    for (dataset, subject), at in withdrawn.items():
        start = lineage.subject(dataset, subject)
        below = graph.descendants(start) if start in graph else frozenset()
        found |= {
            (node.id, dataset, subject)
            for node in below
            if node.kind is Kind.MODEL and node.id in asked and asked[node.id] <= at
        }
    return found


def marks(connection: Connection) -> dict[str, str]:
    """Of each marked model whose consent was withdrawn: ``dataset/subject …``."""
    found: dict[str, list[str]] = {}
    for row in connection.execute(sa.select(withdrawals).order_by(*withdrawals.primary_key.columns)):
        found.setdefault(row.model, []).append(f"{row.dataset}/{row.subject}")
    return {model: " ".join(names) for model, names in found.items()}


def asked_at(connection: Connection) -> dict[str, datetime]:
    """When the run that made each model was asked for."""
    asked = sa.select(models.c.name, models.c.version, runs.c.asked_at).join(runs, runs.c.id == models.c.run)
    return {f"{row.name}@{row.version}": from_utc(row.asked_at) for row in connection.execute(asked)}


def mark(house: House, known: Registers) -> list[str]:
    """Mark what must be marked and is not; the models newly marked. May repeat."""
    if not known.withdrawn_at:
        return []
    now = house.clock()

    def write(connection: Connection) -> set[Mark]:
        wanted = due(heritage.graph(connection), asked_at(connection), known.withdrawn_at)
        there = {(r.model, r.dataset, r.subject) for r in connection.execute(sa.select(withdrawals))}
        for model, dataset, subject in sorted(wanted - there):
            values = {"model": model, "dataset": dataset, "subject": subject}
            connection.execute(withdrawals.insert().values(**values, at=utc(now)))
            log.append(connection, "withdrawal", now, "gate", **values)
        return wanted - there

    fresh = sorted({model for model, _, _ in house.store.transact(write)})
    if fresh:
        teller = threading.Thread(target=_tell, args=(house, fresh), name="withdrawal", daemon=True)
        teller.start()
        teller.join(TELL_S)  # a view that hangs keeps nobody from being stopped
    return fresh


def _tell(house: House, fresh: Sequence[str]) -> None:
    """MLflow shows the marks; where it does not answer, ``sandbox audit repair`` writes them later."""
    for model in fresh:
        run, whose = house.store.read(lambda connection, name=model: _seen(connection, name))  # type: ignore[misc]
        try:
            house.tracking.mark_withdrawn(run, model, whose)
        except SandboxError as fault:
            journal.trouble("tracking.behind", fault, run=run)


def _seen(connection: Connection, model: str) -> tuple[str, str]:
    """The run that made a marked model, and whose consents it outlived."""
    name, _, version = model.rpartition("@")
    chosen = sa.and_(models.c.name == name, models.c.version == int(version))
    run = connection.execute(sa.select(models.c.run).where(chosen)).scalar_one()
    return str(run), marks(connection)[model]
