"""Whose voice went where, out of what the gate granted and made: the database's rows as a lineage graph."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox import lineage
from sandbox.gate.database.tables import models, runs
from sandbox.lineage import DatasetFact, Lineage, ModelFact, Node
from sandbox.runs import Grant, Kind


def grants(connection: Connection) -> list[Grant]:
    """Every grant under an agreement, oldest first; dry runs descend from nobody."""
    asked = sa.select(runs.c.plan).where(runs.c.kind == Kind.AGREEMENT.value)
    rows = connection.execute(asked.order_by(runs.c.asked_at, runs.c.id))
    return [Grant.from_predicate(row.plan) for row in rows]


def graph(connection: Connection, datasets: tuple[DatasetFact, ...] = ()) -> Lineage:
    """The whole graph. ``datasets`` adds who is in which sealed version."""
    made, taints = list[ModelFact](), dict[Node, str]()
    for row in connection.execute(sa.select(models)):
        made.append(ModelFact(row.name, row.version, row.run))
        if row.taint:
            taints[lineage.model(row.name, row.version)] = row.taint
    return lineage.build(datasets, grants(connection), made, taints=taints)


def agreements(connection: Connection, run: str) -> tuple[str, ...]:
    """Every agreement that binds what ``run`` made: its own, and those of all that it came from."""
    by_run = {grant.run: grant for grant in grants(connection)}
    found, waiting, seen = set[str](), [run], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in by_run:
            continue
        seen.add(name)
        found.add(by_run[name].agreement)
        waiting += [item.run for item in by_run[name].inputs]
    return tuple(sorted(found))


def speakers(connection: Connection, run: str) -> tuple[tuple[str, str], ...]:
    """(dataset, subject) of everybody whose voice ``run`` holds, by its dataset or its inputs."""
    return graph(connection).speakers(lineage.run(run))
