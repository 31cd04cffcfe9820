"""When a run's wraps are opened: not before the order was given, and not later than they live (VAULT.md, "Theft").

Only the gate had the wraps until it gives the order. One that is dead by then was opened by somebody else. One that
was still closed in the last moment of its life was never opened: its keeper is not what was started.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.audit.vault_join import TOKEN
from sandbox.errors import CredentialError
from sandbox.gate.database.tables import credentials, duties
from sandbox.gate.house import House

#: How long before its end a wrap that is still closed counts as not opened, and how often one looks then.
LAST, LOOK_S = timedelta(seconds=3), 0.5


@dataclass(frozen=True)
class _Wrap:
    accessor: str
    ends: datetime


class Unwrapping:
    """One run's wraps, until the keeper said that it is unlocked."""

    def __init__(self, house: House, run: str) -> None:
        self._house, self._run = house, run
        self._wraps: list[_Wrap] | None = None
        self._closed: list[str] = []
        self._looked = 0.0

    def require_untouched(self) -> None:
        """Before the order is given. Raises CredentialError (``credential.early``) where somebody has opened one."""
        dead = [wrap for wrap in self._read() if self._house.vault.is_dead(wrap.accessor)]
        if not dead:
            return
        early = [wrap for wrap in dead if self._house.clock() < wrap.ends]
        if not early:
            raise CredentialError(
                f"the wraps of {self._run} ran out before its order", code="credential.expired"
            )
        raise CredentialError(
            f"{len(early)} wraps of {self._run} were opened before its order", code="credential.early"
        )

    def opened(self) -> bool:
        """Whether a wrap of a run that never got its order was opened: dead before its end.

        What a kill revoked itself tells nothing, and is left out.
        """
        vault, now = self._house.vault, self._house.clock()
        revoked = sa.select(duties.c.what).where(duties.c.run == self._run, duties.c.kind == "credential")
        ours = self._house.store.read(lambda c: set(c.execute(revoked).scalars()))
        wraps = [wrap for wrap in self._read() if wrap.accessor not in ours]
        return any(now < wrap.ends and vault.is_dead(wrap.accessor) for wrap in wraps)

    def look(self) -> None:
        """Often, while the order is out. Raises CredentialError (``credential.unopened``) once one ran out closed."""
        now, wraps = self._house.clock(), self._read()
        if not wraps or now < (first := min(wrap.ends for wrap in wraps)) - LAST:
            return
        if now >= first:
            if self._closed:
                raise CredentialError(
                    f"{len(self._closed)} wraps of {self._run} were not opened in time",
                    code="credential.unopened",
                )
            return
        if time.monotonic() - self._looked >= LOOK_S:
            self._looked = time.monotonic()
            self._closed = [wrap.accessor for wrap in wraps if not self._house.vault.is_dead(wrap.accessor)]

    def _read(self) -> list[_Wrap]:
        if self._wraps is None:
            life = timedelta(seconds=self._house.settings().wrap_ttl_s)

            def ask(connection: Connection) -> list[_Wrap]:
                asked = sa.select(credentials.c.accessor, credentials.c.created_at).where(
                    credentials.c.run == self._run, credentials.c.kind != TOKEN
                )
                return [
                    _Wrap(row.accessor, datetime.fromisoformat(row.created_at) + life)
                    for row in connection.execute(asked)
                ]

            self._wraps = self._house.store.read(ask)
        return self._wraps
