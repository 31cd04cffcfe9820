"""The models of a stopped scope: frozen while the incident is open, listed in it, and shown as frozen in MLflow.

That they are refused as inputs needs none of this: admission looks at the open incidents
(:mod:`sandbox.gate.incidents.stopped`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox import lineage
from sandbox.gate.database.tables import incidents, models
from sandbox.gate.house import House
from sandbox.gate.incidents import duties, scopes
from sandbox.gate.incidents.duties import FREEZE, SHOWN, UNSHOWN, Duty
from sandbox.gate.incidents.stopped import FREEZES
from sandbox.gate.ledger import log
from sandbox.gate.subjects import heritage


def freeze(
    connection: Connection, incident: str, text: str, stopped: Sequence[str], now: datetime
) -> list[str]:
    """Write down what the scope reaches, name its models in the log, owe their marks; the models."""
    known = connection.execute(sa.select(incidents.c.affected).where(incidents.c.id == incident)).scalar()
    if known is not None:
        return list(known["models"])
    scope, graph = scopes.parse(text), heritage.graph(connection)
    made = [
        row
        for row in connection.execute(sa.select(models).order_by(models.c.name, models.c.version))
        if scopes.reaches(connection, scope, row.run)
    ]
    names = [f"{row.name}@{row.version}" for row in made]
    voices = {(scope.dataset, scope.value)} if scope.kind == "subject" and scope.dataset else set()
    for node in (*map(lineage.run, stopped), *(lineage.model(row.name, row.version) for row in made)):
        if node in graph:
            voices |= set(graph.speakers(node))
    datasets = {dataset for dataset, _ in voices} | ({scope.value} if scope.kind == "dataset" else set())
    affected = {
        "runs": list(stopped),
        "subjects": sorted("/".join(voice) for voice in voices),
        "datasets": sorted(datasets),
        "models": names,
    }
    connection.execute(incidents.update().where(incidents.c.id == incident).values(affected=affected))
    if names:
        log.append(connection, "frozen", now, "gate", incident=incident, models=names)
    duties.owe(connection, [Duty(incident, SHOWN, name) for name in names])
    duties.done(connection, [Duty(incident, FREEZE, "models")], now)
    return names


def late(house: House, incident: str) -> None:
    """Freeze what a kill that was cut off did not come to."""
    now = house.clock()

    def step(connection: Connection) -> None:
        scope = connection.execute(
            sa.select(incidents.c.scope).where(incidents.c.id == incident)
        ).scalar_one()
        freeze(connection, incident, str(scope), duties.runs_of(connection, incident), now)

    house.store.transact(step)


def unfreeze(connection: Connection, incident: str) -> None:
    """Its models may be used again, once no other incident holds them; MLflow is to show it."""
    row = connection.execute(sa.select(incidents.c.affected).where(incidents.c.id == incident)).scalar()
    duties.owe(connection, [Duty(incident, UNSHOWN, name) for name in (row or {}).get("models", [])])


def marks(connection: Connection) -> dict[str, str]:
    """Of each frozen model the incidents that hold it, as the log has them."""
    found: dict[str, list[str]] = defaultdict(list)
    asked = sa.select(incidents.c.id, incidents.c.affected).where(
        incidents.c.closed_at.is_(None), incidents.c.kind.in_(FREEZES)
    )
    for row in connection.execute(asked.order_by(incidents.c.id)):
        for name in (row.affected or {}).get("models", []):
            found[name].append(row.id)
    return {name: " ".join(held) for name, held in found.items()}


def show(house: House, model: str) -> None:
    """Let MLflow show whether a model is frozen now. Raises Unreachable."""

    def look(connection: Connection) -> tuple[str, str]:
        name, _, version = model.rpartition("@")
        chosen = sa.and_(models.c.name == name, models.c.version == int(version))
        run = connection.execute(sa.select(models.c.run).where(chosen)).scalar_one()
        return str(run), marks(connection).get(model, "")

    run, held = house.store.read(look)
    house.tracking.mark_frozen(run, model, held)


def affected(row: Any) -> dict[str, list[str]]:
    """What an incident reached; of one that opened by itself only its run."""
    empty: dict[str, list[str]] = {
        "runs": [row.run] if row.run else [],
        "subjects": [],
        "datasets": [],
        "models": [],
    }
    return {**empty, **(row.affected or {})}
