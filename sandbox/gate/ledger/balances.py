"""What each data subject has lost over all runs, for people: PLD as reported, RDP as an upper bound beside it.

Rows are read in one snapshot and composed after it: that takes up to seconds, and no transaction waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.gate.database.store import Store
from sandbox.gate.database.tables import budget as rows
from sandbox.gate.database.tables import decisions, runs
from sandbox.gate.ledger import budget
from sandbox.policy import epsilon
from sandbox.policy.epsilon import Mechanism
from sandbox.runs import RunState

_TRAINED = (RunState.TRAINING.value, RunState.ENDED.value, RunState.SETTLED.value)


@dataclass(frozen=True)
class Account:
    """One data subject of one dataset, as the ledger has them. ``cap`` is the agreement's, at ``delta``."""

    dataset: str
    subject: str
    mechanisms: tuple[Mechanism, ...]
    delta: float
    cap: float | None
    no_bound_since: str | None


def told(store: Store) -> list[dict[str, Any]]:
    """Every account with its composed epsilon. Not inside a transaction."""
    return [composed(account) for account in store.read(accounts)]


def composed(account: Account) -> dict[str, Any]:
    """``epsilon`` by PLD, ``rdp`` above it, both at ``delta``; none where no run was private."""
    found: dict[str, Any] = {
        "dataset": account.dataset,
        "subject": account.subject,
        "no_bound_since": account.no_bound_since,
    }
    if account.mechanisms:
        found |= {
            "epsilon": epsilon.spent(account.mechanisms, account.delta),
            "rdp": epsilon.bound(account.mechanisms, account.delta),
            "delta": account.delta,
            "runs": len(account.mechanisms),
            "cap": account.cap,
        }
    return found


def accounts(connection: Connection) -> list[Account]:
    """In the order in which they were first heard. One snapshot, nothing composed."""
    standing, since = budget.ledger(connection).standing, _without_bound(connection)
    known = sa.select(rows.c.dataset, rows.c.subject, sa.func.min(rows.c.id).label("first"))
    known = known.group_by(rows.c.dataset, rows.c.subject).order_by("first")
    caps = {dataset: _cap(connection, dataset) for dataset in {key[0] for key in standing}}
    return [
        Account(
            row.dataset,
            row.subject,
            standing.get((row.dataset, row.subject), ()),
            *caps.get(row.dataset, (1e-5, None)),
            since.get((row.dataset, row.subject)),
        )
        for row in connection.execute(known)
    ]


def _without_bound(connection: Connection) -> dict[tuple[str, str], str]:
    """Since which run there is no bound: the first without DP whose recipe has begun, and was not released."""
    asked = (
        sa.select(rows.c.dataset, rows.c.subject, rows.c.run)
        .join(runs, runs.c.id == rows.c.run)
        .where(rows.c.kind == budget.RESERVED, rows.c.epsilon.is_(None), runs.c.state.in_(_TRAINED))
        .where(rows.c.run.not_in(sa.select(rows.c.run).where(rows.c.kind == budget.RELEASED)))
        .order_by(rows.c.id)
    )
    found: dict[tuple[str, str], str] = {}
    for row in connection.execute(asked):
        found.setdefault((row.dataset, row.subject), row.run)
    return found


def _cap(connection: Connection, dataset: str) -> tuple[float, float | None]:
    """Delta and cap under which the dataset's newest private run was decided."""
    asked = (
        sa.select(rows.c.delta, decisions.c.facts)
        .join(runs, runs.c.id == rows.c.run)
        .outerjoin(decisions, decisions.c.id == runs.c.decision)
        .where(rows.c.dataset == dataset, rows.c.kind == budget.RESERVED, rows.c.sigma.is_not(None))
        .order_by(rows.c.id.desc())
        .limit(1)
    )
    row = connection.execute(asked).one()
    terms = (row.facts or {}).get("terms") or {}
    cap = terms.get("max_epsilon")
    return float(terms.get("max_delta") or row.delta or 1e-5), None if cap is None else float(cap)


def table(found: Iterable[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Rows for a page: dataset, person, PLD, RDP, delta, cap, no bound since."""
    numbers = ("epsilon", "rdp", "delta", "cap")
    return [
        (
            str(one["dataset"]),
            str(one["subject"]),
            *("" if one.get(name) is None else f"{one[name]:.3g}" for name in numbers),
            str(one["no_bound_since"] or ""),
        )
        for one in found
    ]


HEAD = ("dataset", "person", "epsilon (PLD)", "at most (RDP)", "delta", "cap", "no bound since")
