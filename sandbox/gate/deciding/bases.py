"""Published files on their way into a sealed base: kept by their sha256, opened by nobody here.

They are public, so nothing of them is secret and they may be sent again: what is kept makes room for what comes, leaves
after a week, and only a file that a living run names stays in any case. What becomes of one is a run of
``recipes/import-base``.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from sandbox.errors import NotFound, TooMany, Unreachable, Usage
from sandbox.gate.database.store import Store
from sandbox.gate.files import copy_out, sync_folder
from sandbox.gate.ledger import log
from sandbox.gate.places import Places
from sandbox.gate.runs import chronicle
from sandbox.gate.runs.grants import GivenInput
from sandbox.gate.settings import Settings
from sandbox.policy.facts import InputFacts
from sandbox.records import check_id

NAMED = re.compile(r"sha256:([0-9a-f]{64})")
ROOM = 2  # how many files of the largest size are kept at most
MANY = 64  # files that are kept at most, however small
AT_ONCE = 2  # people who send at once: what has not come whole lies here too
PARTIAL = ".partial-"
TORN_S = 24 * 3600  # a sending that nothing was heard of for so long died with its gate
KEPT_S = 7 * 24 * 3600  # what became a base is sealed by then; what did not is sent again


class Bases:
    """The shelf ``bases/<sha256>``; what lies there has the digest that it is called by."""

    def __init__(
        self,
        places: Places,
        store: Store,
        settings: Callable[[], Settings],
        clock: Callable[[], datetime],
    ) -> None:
        self._places, self._store, self._settings, self._clock = places, store, settings, clock
        self._turn, self._senders = threading.Lock(), set[str]()

    def announce(self, digest: str, size: object) -> dict[str, Any]:
        """Whether the file still has to be sent. Raises Usage before a byte of one that is empty or too large is."""
        digest = check_id("sha256", digest)
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise Usage("the file is empty", code="base.empty", mend="name a published checkpoint")
        if size > self._most:
            raise self._too_large()
        return {"sha256": digest, "kept": self._places.base(digest).is_file()}

    def receive(self, digest: str, pieces: Iterable[bytes], by: str) -> dict[str, Any]:
        """Keep what comes under its digest, whole or not at all; the same file again changes nothing.

        Raises:
            Usage: larger than allowed, or another file than was announced.
            TooMany: there is no room beside the files that runs use now, or others are sending.
        """
        final = self._places.base(check_id("sha256", digest))
        part = final.with_name(f"{PARTIAL}{secrets.token_hex(8)}")
        part.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            with self._sending(by):
                size = self._write(part, digest, pieces)
                with self._turn:
                    self._make_room(size, digest)
                    part.replace(final)
                sync_folder(final.parent)
        except OSError as fault:
            why = f"the gate's disk: {os.strerror(fault.errno or 0)}"
            raise Unreachable(why, code="storage.failed", mend="make room") from None
        finally:
            part.unlink(missing_ok=True)
        now = self._clock()
        self._store.transact(lambda c: log.append(c, "base", now, by, sha256=digest, size=size))
        return {"sha256": digest, "size": size, "kept": True}

    def given(self, asked: str) -> tuple[GivenInput, InputFacts] | None:
        """The public file that ``asked`` names (``sha256:…``); None where it names none. Raises NotFound."""
        named = NAMED.fullmatch(asked)
        if named is None:
            return None
        self._require(named[1])
        return GivenInput(named[1], "", "", ""), InputFacts(asked, named[1], (), (), public=True)

    def stage(self, digest: str, place: Path, look: Callable[[], None]) -> None:
        """Copy it to ``place``, for the container to mount; the keeper checks its digest. Raises NotFound."""
        self._require(digest)
        copy_out(self._places.base(digest), place, look)

    def tidy(self) -> None:
        """Let go what lies here for too long: nobody would miss it, and what a person sent by mistake does not stay."""
        with self._turn:
            used, now = self._store.read(_used), time.time()
            for path in self._places.base("").glob("*"):
                longest = TORN_S if path.name.startswith(PARTIAL) else KEPT_S
                if path.name not in used and now - path.stat().st_mtime > longest:
                    path.unlink(missing_ok=True)

    def _require(self, digest: str) -> None:
        if not self._places.base(digest).is_file():
            raise NotFound(
                f"no published file {digest[:12]}… lies here",
                code="base.unknown",
                mend="sandbox recipe import-base FILE sends it again",
            )

    @property
    def _most(self) -> int:
        return self._settings().base_max_bytes

    @contextmanager
    def _sending(self, by: str) -> Iterator[None]:
        """One file of one person at a time, and of few people: a disk is not filled by many halves."""
        with self._turn:
            if by in self._senders or len(self._senders) >= AT_ONCE:
                raise TooMany(
                    "other published files are on their way here",
                    code="base.no_room",
                    mend="send it again when they have come",
                    retry_s=60,
                )
            self._senders.add(by)
        try:
            yield
        finally:
            with self._turn:
                self._senders.discard(by)

    def _write(self, part: Path, digest: str, pieces: Iterable[bytes]) -> int:
        seen, size, most = hashlib.sha256(), 0, self._most
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            for piece in pieces:
                size += len(piece)
                if size > most:
                    raise self._too_large()
                seen.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if seen.hexdigest() != digest:
            raise Usage("another file came than was announced", code="base.digest", mend="send it again")
        return size

    def _too_large(self) -> Usage:
        return Usage(
            f"a published file has at most {self._most} bytes here",
            code="base.too_large",
            mend="limits.base_max in configs/gate.yaml",
        )

    def _make_room(self, size: int, digest: str) -> None:
        """Let the oldest files go that no living run names, until there is room. Raises TooMany."""
        used = self._store.read(_used)
        shelf = list(self._places.base(digest).parent.iterdir())
        kept = [path for path in shelf if not path.name.startswith(PARTIAL) and path.name != digest]
        held, many = sum(path.stat().st_size for path in kept), len(kept)
        for path in sorted(kept, key=lambda path: path.stat().st_mtime):
            if held + size <= ROOM * self._most and many < MANY:
                return
            if path.name not in used:
                held, many = held - path.stat().st_size, many - 1
                path.unlink()
        if held + size > ROOM * self._most or many >= MANY:
            raise TooMany(
                "runs use all published files that there is room for",
                code="base.no_room",
                mend="wait until they end",
                retry_s=60,
            )


def _used(connection: Connection) -> set[str]:
    plans = [chronicle.granted(chronicle.find(connection, run)) for run in chronicle.live(connection)]
    return {item.digest for plan in plans for item in plan.inputs if item.public}
