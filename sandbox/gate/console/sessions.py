"""Browser sessions: a one-time ticket of a minute becomes a cookie with the roles of whoever asked for it."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from sandbox.statements import sha256

TICKET_S = 60.0
SESSION_S = 8 * 3600.0


@dataclass(frozen=True)
class Visitor:
    """Whose session it is, with which roles, until when (monotonic seconds)."""

    name: str
    roles: tuple[str, ...]
    until: float


class Sessions:
    """In memory only: a restarted gate asks for a new link. Tickets and cookies are kept as digests."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        standing: Callable[[str], tuple[str, ...]] | None = None,
    ) -> None:
        self._clock, self._standing = clock, standing
        self._lock = threading.Lock()
        self._tickets: dict[str, Visitor] = {}
        self._open: dict[str, Visitor] = {}

    def ticket(self, name: str, roles: tuple[str, ...]) -> str:
        """A word that opens one session within a minute."""
        return self._keep(self._tickets, Visitor(name, roles, self._clock() + TICKET_S))

    def enter(self, ticket: str) -> str | None:
        """The cookie of a new session; None when the ticket was used, is too old, or never was."""
        with self._lock:
            visitor = self._tickets.pop(sha256(ticket.encode()), None)
        if visitor is None or visitor.until < self._clock():
            return None
        return self._keep(self._open, Visitor(visitor.name, visitor.roles, self._clock() + SESSION_S))

    def visitor(self, cookie: str) -> Visitor | None:
        """Whose session this is, while it lasts."""
        with self._lock:
            found = self._open.get(sha256(cookie.encode()))
        if found is None or found.until < self._clock():
            return None
        if self._standing is None:
            return found
        held = self._standing(found.name)  # who left, or lost a role, lost it here as well
        return replace(found, roles=held) if held else None

    def _keep(self, where: dict[str, Visitor], visitor: Visitor) -> str:
        word = secrets.token_urlsafe(32)
        with self._lock:
            for old in [key for key, found in where.items() if found.until < self._clock()]:
                del where[old]
            where[sha256(word.encode())] = visitor
        return word
