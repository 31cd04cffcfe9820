"""POSTs that may arrive twice: the same key by the same person asks for the same thing, never twice for it.

Identity tokens have no ``jti``, so a replay is made harmless instead of refused (GATE.md, "Interface"). Only answers
of success are kept: after a refusal the same request may be asked again.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sandbox.errors import Conflict, Usage

KEPT_S = 24 * 3600
SWEEP_S = 60.0


@dataclass(frozen=True)
class Kept:
    """An answer given before: its status and exact body."""

    status: int
    body: bytes


class Idempotency(Protocol):
    """Remembers requests. Duties: (1) two requests with one key never both run; (2) a kept answer is given again."""

    def begin(self, caller: str, key: str, digest: str) -> Kept | None:
        """None: run it, then call ``finish`` or ``forget``. ``digest`` is of method, path and body.

        Raises:
            Usage: the key was used for another request.
            Conflict: the first request still runs, or was cut off by a restart (then look before asking anew).
        """

    def finish(self, caller: str, key: str, answer: Kept) -> None: ...

    def forget(self, caller: str, key: str) -> None: ...


class KeptAnswers:
    """Answers in a small SQLite file of the service's own (``:memory:`` for tests); kept a day.

    Every answer outlives the process. ``synced`` False: one of the last may be lost with the machine's power, which is
    for a service whose requests are harmless twice; it saves two waits for the disk at each.
    """

    def __init__(self, path: Path | str, *, synced: bool = True) -> None:
        self._lock = threading.Lock()
        self._life = secrets.token_hex(8)
        self._swept = 0.0
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(f"PRAGMA synchronous={'FULL' if synced else 'NORMAL'}")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS answers (caller TEXT, key TEXT, digest TEXT, life TEXT, at REAL,"
            " status INTEGER, body BLOB, PRIMARY KEY (caller, key))"
        )

    def begin(self, caller: str, key: str, digest: str) -> Kept | None:
        with self._lock:
            self._sweep(time.time())
            row = self._db.execute(
                "SELECT digest, life, status, body FROM answers WHERE caller = ? AND key = ?", (caller, key)
            ).fetchone()
            if row is None:
                self._db.execute(
                    "INSERT INTO answers VALUES (?, ?, ?, ?, ?, NULL, NULL)",
                    (caller, key, digest, self._life, time.time()),
                )
                return None
        known, life, status, body = row
        if known != digest:
            raise Usage("this Idempotency-Key was used for another request", code="idempotency.reused")
        if status is not None:
            return Kept(int(status), bytes(body))
        raise Conflict(
            "the first request with this Idempotency-Key "
            + ("still runs" if life == self._life else "was cut off"),
            code="idempotency.open",
            mend="look at what became of it, then ask with a new key",
        )

    def _sweep(self, now: float) -> None:
        """Forget what is older than a day, now and then."""
        if now - self._swept >= SWEEP_S:
            self._swept = now
            self._db.execute("DELETE FROM answers WHERE at < ?", (now - KEPT_S,))

    def finish(self, caller: str, key: str, answer: Kept) -> None:
        with self._lock:
            self._db.execute(
                "UPDATE answers SET status = ?, body = ? WHERE caller = ? AND key = ?",
                (answer.status, answer.body, caller, key),
            )

    def forget(self, caller: str, key: str) -> None:
        with self._lock:
            self._db.execute("DELETE FROM answers WHERE caller = ? AND key = ?", (caller, key))

    def close(self) -> None:
        self._db.close()
