"""Who supervises a run: one owner at a time; an owner that lost its lease cannot write about the run any more."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import Conflict
from sandbox.gate.tables import leases

LEASE_S = 20.0


class LeaseLost(Conflict):
    """Another supervisor took this run over. Stop, and touch nothing."""

    code = "run.lease_lost"


@dataclass(frozen=True)
class Lease:
    """A claim on one run; ``epoch`` counts its owners."""

    run: str
    owner: str
    epoch: int


def take(connection: Connection, run: str, owner: str, now: float, *, alone: bool) -> Lease:
    """Claim a run whose lease has ended, or any of this machine's when ``alone`` (its only gate holds the lock file).

    Raises Conflict while another gate supervises it. ``owner`` is ``host:random``.
    """
    row = connection.execute(sa.select(leases).where(leases.c.run == run)).first()
    if row is None:
        connection.execute(leases.insert().values(run=run, owner=owner, epoch=1, until=now + LEASE_S))
        return Lease(run, owner, 1)
    same_host = row.owner.partition(":")[0] == owner.partition(":")[0]
    if row.until > now and row.owner != owner and not (alone and same_host):
        raise Conflict(f"run {run} is supervised by {row.owner}", code="run.supervised")
    epoch = int(row.epoch) + 1
    connection.execute(
        leases.update().where(leases.c.run == run).values(owner=owner, epoch=epoch, until=now + LEASE_S)
    )
    return Lease(run, owner, epoch)


def renew(connection: Connection, lease: Lease, now: float) -> None:
    """Raises LeaseLost when somebody else owns the run now."""
    done = connection.execute(
        leases.update()
        .where(leases.c.run == lease.run, leases.c.epoch == lease.epoch)
        .values(until=now + LEASE_S)
    )
    if done.rowcount != 1:
        raise LeaseLost(f"run {lease.run} has another supervisor")


def require(connection: Connection, lease: Lease) -> None:
    """Raises LeaseLost unless ``lease`` is the one in force; called inside the writing transaction."""
    epoch = connection.execute(sa.select(leases.c.epoch).where(leases.c.run == lease.run)).scalar()
    if epoch != lease.epoch:
        raise LeaseLost(f"run {lease.run} has another supervisor")
