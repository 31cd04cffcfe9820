"""Who supervises a run: one owner at a time; an owner that lost its lease cannot write about the run any more."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import Conflict
from sandbox.gate.database.tables import leases

LEASE_S = 20.0


class Claim(NamedTuple):
    """A lease as it stands: which owner it is, and until when by that owner's clock (Unix seconds)."""

    epoch: int
    until: float


class LeaseLost(Conflict):
    """Another supervisor took this run over. Stop, and touch nothing."""

    code = "run.lease_lost"


@dataclass(frozen=True)
class Lease:
    """A claim on one run; ``epoch`` counts its owners."""

    run: str
    owner: str
    epoch: int


class Held(Conflict):
    """Another gate supervises the run; ``seen`` is its claim as it stands."""

    code = "run.supervised"

    def __init__(self, run: str, owner: str, seen: Claim) -> None:
        super().__init__(f"run {run} is supervised by {owner}")
        self.seen = seen


class Patience:
    """Notices an owner that is gone, without asking what time it is: its claim did not change for a lease's length.

    A lease ends by the wall clock of whoever wrote it. Where that was ahead, or was set back since, the end may lie
    hours away; a live owner renews all the same.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._seen: Claim | None = None
        self._since = 0.0

    def outlived(self, seen: Claim) -> bool:
        """Whether ``seen`` has stood for longer than a lease lasts; asked again and again while it is held."""
        if seen != self._seen:
            self._seen, self._since = seen, self._monotonic()
        return self._monotonic() - self._since > LEASE_S


def take(
    connection: Connection, run: str, owner: str, now: float, *, alone: bool, outlived: Claim | None = None
) -> Lease:
    """Claim a run whose lease has ended, or any of this machine's when ``alone`` (its only gate holds the lock file).

    ``outlived`` is a claim that nobody renewed in time (:class:`Patience`); if it still stands, it has ended.
    Raises Held while another gate supervises it. ``owner`` is ``host:random``.
    """
    row = connection.execute(sa.select(leases).where(leases.c.run == run)).first()
    if row is None:
        connection.execute(leases.insert().values(run=run, owner=owner, epoch=1, until=now + LEASE_S))
        return Lease(run, owner, 1)
    same_host = row.owner.partition(":")[0] == owner.partition(":")[0]
    seen = Claim(int(row.epoch), float(row.until))
    if row.until > now and row.owner != owner and not (alone and same_host) and seen != outlived:
        raise Held(run, row.owner, seen)
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
