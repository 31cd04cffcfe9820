"""POSTs that may arrive twice: the same key by the same person asks for the same thing, never twice for it.

Identity tokens have no ``jti``, so a replay is made harmless instead of refused (GATE.md, "Interface"). Only answers
of success are kept: after a refusal the same request may be asked again. What is told once, or is no JSON (lines,
exact bytes), is not kept: that it was answered is, and a repeat is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from starlette.responses import JSONResponse, Response

from sandbox.errors import Conflict, Usage
from sandbox.service.answers import Answer, Lines, response
from sandbox.statements import sha256

KEPT_S = 24 * 3600
SWEEP_S = 60.0


@dataclass(frozen=True)
class Kept:
    """An answer given before: its status and exact body; ``None`` for one that is not kept."""

    status: int
    body: bytes | None


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
            return Kept(int(status), None if body is None else bytes(body))
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


def answered_once(
    idempotency: Idempotency, caller: str, key: str, told: bytes, *, secret: bool = False
) -> Callable[[Callable[[], Answer]], Response]:
    """Runs a handler at most once for ``caller`` and ``key``. ``told`` is method, path and body, exactly.

    A ``secret`` answer is not kept, and of its request no plain digest is: a body may hold a password.
    """
    digest = hmac.new(_LIFE, told, hashlib.sha256).hexdigest() if secret else sha256(told)

    def once(handler: Callable[[], Answer]) -> Response:
        kept = idempotency.begin(caller, key, digest)
        if kept is not None:
            return _again(kept)
        done = False
        try:
            answer = handler()
            if isinstance(answer, Lines):
                lines = _settling(answer.lines, idempotency, caller, key)
                done = True
                return response(Lines(lines))
            reply = response(answer)
            if reply.status_code < 300:
                keep = isinstance(reply, JSONResponse) and not secret
                idempotency.finish(caller, key, Kept(reply.status_code, bytes(reply.body) if keep else None))
                done = True
            return reply
        finally:
            if not done:
                idempotency.forget(caller, key)

    return once


_LIFE = secrets.token_bytes(32)  # of this process


def _again(kept: Kept) -> Response:
    if kept.body is None:
        raise Conflict(
            "this request was answered, and its answer is told once",
            code="idempotency.answered",
            mend="look at what became of it; ask with a new key to have it done anew",
        )
    return Response(
        kept.body, kept.status, media_type="application/json", headers={"Idempotent-Replayed": "true"}
    )


def _settling(
    lines: Iterator[Mapping[str, Any]], idempotency: Idempotency, caller: str, key: str
) -> Iterator[Mapping[str, Any]]:
    """``lines``; told to the end they are answered, broken by a fault they may be asked for again.

    Cut off (the service stops), the request stays open: look at what became of it.
    """
    try:
        yield from lines
    except GeneratorExit:
        raise
    except BaseException:
        idempotency.forget(caller, key)
        raise
    idempotency.finish(caller, key, Kept(200, None))
