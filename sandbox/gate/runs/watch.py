"""What may end a run from outside while it is talked to: a kill, its time, a lost lease, our end, its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import RunFailed, SandboxError
from sandbox.gate.database.tables import runs
from sandbox.gate.house import House
from sandbox.gate.runs import leases, stopping
from sandbox.gate.runs.chronicle import Killed
from sandbox.gate.runs.leases import Lease
from sandbox.runs import ExitClass, Grant, from_utc
from sandbox.service import journal

LOOK_S = 0.5
RENEW_S = 5.0
TELL_S = 5.0
STOP_GRACE_S = 20.0
_UNHEARD = {stopping.REASON: "stop_unheard"}  # reason -> what a run that did not listen failed for


class Closing(Exception):
    """The gate is going down. The run goes on without it, and the next gate finds it."""


class Watch:
    """Looks around, cheaply and often. ``exit`` is set once the container is gone."""

    def __init__(
        self,
        house: House,
        lease: Lease,
        closing: threading.Event,
        plan: Grant,
        tell: Callable[[], None],
    ) -> None:
        self._house, self._lease, self._closing, self._tell = house, lease, closing, tell
        self._expires = from_utc(plan.expires)
        self._looked = self._renewed = self._told = 0.0
        self._stopped_at: float | None = None
        self._wished = False  # whether the engineer asked for an end in order
        self._wish = stopping.Wish(lease.run)
        self._asked = False  # whether the keeper was asked to end, which takes a connection
        self._teller: threading.Thread | None = None
        self.exit: ExitClass | None = None

    def begin(self) -> None:
        """Wait for the container's end, beside everything else."""
        threading.Thread(target=self._wait, name=f"exit-{self._lease.run}", daemon=True).start()

    def look(self, stop: Callable[[str], None] | None = None) -> None:
        """Raises Killed, LeaseLost, Closing, or RunFailed once the time is over and ``stop`` was of no avail."""
        if self._closing.is_set():
            raise Closing
        now = time.monotonic()
        if now - self._looked >= LOOK_S:
            self._looked = now
            if self._house.store.read(self._killed):
                raise Killed(f"run {self._lease.run} was killed")
            self._wished = self._house.store.read(self._wish.stands)
        if now - self._renewed >= RENEW_S:
            self._renewed = now
            self._house.store.transact(lambda c: leases.renew(c, self._lease, time.time()))
        if now - self._told >= TELL_S and (self._teller is None or not self._teller.is_alive()):
            self._told = now  # beside everything else: a view that hangs holds nothing up
            self._teller = threading.Thread(target=self._tell, name=f"tell-{self._lease.run}", daemon=True)
            self._teller.start()
        if self._house.clock() >= self._expires:
            self._stop(now, stop, "time_limit", STOP_GRACE_S)
        elif self._wished:
            self._stop(now, stop, stopping.REASON, stopping.GRACE_S)

    def _stop(self, now: float, stop: Callable[[str], None] | None, reason: str, grace_s: float) -> None:
        """Ask the keeper to come to an end; after a grace it has no choice."""
        if self._stopped_at is None:
            self._stopped_at = now
        if stop is not None and not self._asked:
            self._asked = True
            stop(reason)
        if now - self._stopped_at > grace_s:
            raise RunFailed(
                "the run did not end when it was told to", code=f"run.{_UNHEARD.get(reason, reason)}"
            )

    def _killed(self, connection: Connection) -> bool:
        asked = sa.select(runs.c.kill).where(runs.c.id == self._lease.run)
        return connection.execute(asked).scalar() is not None

    def _wait(self) -> None:
        while self.exit is None and not self._closing.is_set():
            try:
                self.exit = self._house.launcher.wait(self._lease.run)
            except (SandboxError, TimeoutError) as fault:
                journal.trouble("launcher.wait", fault, run=self._lease.run)
                time.sleep(1.0)
