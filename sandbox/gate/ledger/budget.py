"""The privacy ledger: reserved at admission, charged in full or released at the end, never updated (GATE.md, "Budget").

A balance is the composition of the rows. Before TRAINING no recipe ran and nothing left, so the reservation is
released; from TRAINING on it is charged in full, because reports come from the recipe's side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.gate.database.tables import budget
from sandbox.gate.ledger import acts
from sandbox.policy import epsilon
from sandbox.policy.epsilon import Mechanism
from sandbox.policy.facts import Spend
from sandbox.runs import Grant, Privacy, utc

RESERVED, CHARGED, RELEASED = "reserved", "charged", "released"
#: Built once: every decision asks it twice.
_VERSION = sa.select(sa.func.max(budget.c.id))


@dataclass(frozen=True)
class Ledger:
    """Every mechanism that stands against a (dataset, subject), as of ``version``."""

    version: int
    standing: dict[tuple[str, str], tuple[Mechanism, ...]]


def version(connection: Connection) -> int:
    """Counts the ledger's rows; equal versions are the same ledger."""
    return int(connection.execute(_VERSION).scalar() or 0)


def unread(connection: Connection) -> Ledger:
    """Only the ledger's version: a request without differential privacy composes nothing."""
    return Ledger(version(connection), {})


def ledger(connection: Connection, dataset: str | None = None) -> Ledger:
    """Reservations that were not released, of one dataset or all; runs without DP are no part of a composition."""
    mine = sa.true() if dataset is None else budget.c.dataset == dataset
    freed = sa.select(budget.c.run).where(budget.c.kind == RELEASED, mine).distinct()
    released = set(connection.execute(freed).scalars())
    found: dict[tuple[str, str], list[Mechanism]] = {}
    asked = sa.select(budget).where(budget.c.kind == RESERVED, budget.c.sigma.is_not(None), mine)
    for row in connection.execute(asked.order_by(budget.c.id)):
        if row.run not in released:
            mechanism = Mechanism(row.sigma, row.sample_rate, row.steps)
            found.setdefault((row.dataset, row.subject), []).append(mechanism)
    return Ledger(version(connection), {key: tuple(rows) for key, rows in found.items()})


def spending(
    found: Ledger, dataset: str, subjects: Sequence[str], wanted: Privacy, delta: float
) -> tuple[Spend, ...]:
    """What each data subject lost so far, and would have lost after this run, at the agreement's delta."""
    histories = {subject: found.standing.get((dataset, subject), ()) for subject in subjects}
    return epsilon.spending(dataset, histories, Mechanism.of(wanted), delta)


def reserve(connection: Connection, plan: Grant, now: datetime) -> None:
    """One row for each data subject; a run without DP stands there with no epsilon, which means no bound."""
    _rows(connection, plan, RESERVED, now)


def settle(connection: Connection, plan: Grant, now: datetime, *, trained: bool) -> None:
    """Charge in full, or release; a second time changes nothing."""
    kinds = (CHARGED, RELEASED)
    done = sa.select(budget.c.id).where(budget.c.run == plan.run, budget.c.kind.in_(kinds))
    if connection.execute(done.limit(1)).first() is None:
        _rows(connection, plan, CHARGED if trained else RELEASED, now)


def _rows(connection: Connection, plan: Grant, kind: str, now: datetime) -> None:
    """One act of the ledger: its rows, and its link in the dataset's chain."""
    if plan.dataset is None or not plan.subjects:
        return
    noise = {name: None if plan.privacy is None else getattr(plan.privacy, name) for name in acts.NOISE}
    act = {"run": plan.run, "kind": kind, "dataset": plan.dataset, "at": utc(now), **noise}
    rows = [{**act, "subject": subject} for subject in plan.subjects]
    connection.execute(budget.insert(), rows)
    acts.enter(connection, plan.dataset, plan.run, kind, rows)
