"""The registers as the gate sees them: the custodian's files against Vault's heads, at every admission.

A register whose files and head differ stops admission; nothing is guessed. Every entry that the gate has seen is named
in its own log, so a custodian cannot rewrite history either.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import EvidenceMismatch
from sandbox.gate.database.store import Store
from sandbox.gate.database.tables import postings
from sandbox.gate.files import write_whole
from sandbox.gate.hands import Vault
from sandbox.gate.incidents.stopped import kill_all_stands
from sandbox.gate.ledger import log
from sandbox.gate.places import Places
from sandbox.policy.agreement import Agreement, open_agreement
from sandbox.policy.entries import ApprovalEntry, StatusEntry
from sandbox.policy.narrowing import open_version
from sandbox.policy.registers import (
    APPROVALS,
    IMAGES,
    NAMES,
    REVIEWED,
    Posting,
    RegisterHead,
    Registers,
    fold,
    read_chain,
)
from sandbox.policy.review_entries import ImageEntry
from sandbox.runs import utc
from sandbox.statements import PublicKey, canonical_json, sha256, sign_statement

_SUFFIX = ".dsse.json"
AT_ONCE_S = 1.0
_opened = lru_cache(maxsize=64)(
    open_agreement
)  # the same bytes and keys give the same terms; reading them takes long

_NEWEST = (
    sa.select(postings.c.seq, postings.c.digest)
    .where(postings.c.register == sa.bindparam("name"))
    .order_by(postings.c.seq.desc())
    .limit(1)
)


class RegisterReader:
    """Reads, verifies and folds; thread-safe. A chain whose files and head did not change is not verified again."""

    def __init__(
        self,
        places: Places,
        store: Store,
        vault: Vault,
        trust: Callable[[str], Sequence[PublicKey]],
        clock: Callable[[], datetime],
    ) -> None:
        self._places, self._store, self._vault, self._trust, self._clock = places, store, vault, trust, clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Posting, ...]] = {}
        self._last: Registers | None = None
        self._logged: set[tuple[str, int]] = set()  # entries are never taken out of the log again

    def read(self) -> Registers:
        """What holds now; new entries are named in the log first.

        Raises:
            RollbackDetected, StatementError: files and head of a register differ.
            Unreachable: Vault does not answer.
        """
        with self._lock:
            heads = self._vault.register_heads().value
            chains = {name: self._chain(name, RegisterHead.of(heads, name)) for name in NAMES}
            chains |= {name: self._reviewed(name) for name in REVIEWED}
            self._log(chain for name, chain in chains.items() if name not in REVIEWED)
        self._last = fold(chains)
        return self._last

    def now(self) -> Registers:
        """What is shown, and what roles are read from: as :meth:`read`; after a kill of everything as :meth:`last`."""
        return self.last() if self._store.read(kill_all_stands) else self.read()

    def at_once(self, limit_s: float = AT_ONCE_S) -> Registers:
        """As :meth:`read`, and where that fails or takes longer, as :meth:`last`: a hung Vault delays no kill."""
        found: list[Registers] = []

        def ask() -> None:
            with suppress(Exception):
                found.append(self.read())

        asking = threading.Thread(target=ask, name="registers", daemon=True)
        asking.start()
        asking.join(limit_s)
        return found[0] if found else self.last()

    def last(self) -> Registers:
        """What held when it was read last; of a gate that has no login, what its own log names. Asks nobody.

        Raises StatementError when the files are others than the log's.
        """
        if self._last is None:
            chains = {}
            for name in (*NAMES, *REVIEWED):
                hand = "gate" if name in REVIEWED else "custodian"
                folder = self._places.reviews(name) if name in REVIEWED else self._places.registers / name
                head = self._newest(name)
                chains[name] = read_chain(name, _files(folder, head.seq), head, self._trust(hand))
            self._last = fold(chains)
        return self._last

    def changed(self) -> bool:
        """Whether the custodian wrote an entry that was not read yet; looks at file names only."""
        folder = self._places.registers
        return any(
            (folder / name / f"{len(self._known.get(name, ())) + 1}{_SUFFIX}").exists() for name in NAMES
        )

    def heads(self) -> dict[str, str]:
        """The digest of each register's newest entry, as it was read last."""
        return {name: chain[-1].digest if chain else "" for name, chain in list(self._known.items())}

    def envelopes(self, name: str) -> list[bytes]:
        """The exact bytes of a register as it was read last: what a witness keeps of it."""
        folder = self._places.registers / name
        return [data for _, data in _files(folder, len(self._known.get(name, ())))]

    def reviews(self, name: str) -> tuple[Posting, ...]:
        """The whole chain of ``recipe-approval`` or ``image-approval``: its history."""
        with self._lock:
            return self._reviewed(name)

    def approve(self, entry: ApprovalEntry | ImageEntry, by: str) -> Posting:
        """Enter a reviewer's word: signed by the gate, named in the log. Raises Unreachable without Vault."""
        name = APPROVALS if isinstance(entry, ApprovalEntry) else IMAGES
        with self._lock:
            chain, now = self._reviewed(name), self._clock().replace(microsecond=0)
            said, seq = entry.model_dump(mode="json"), len(chain) + 1
            previous = chain[-1].digest if chain else None
            predicate = {"seq": seq, "previous": previous, "at": utc(now), "by": by, "entry": said}
            subject = (f"{name}/{seq}", sha256(canonical_json(said)))
            data = sign_statement(name, [subject], predicate, [self._vault.signer()])
            write_whole(self._places.reviews(name) / f"{seq}{_SUFFIX}", data)
            posting = Posting(name, seq, now, by, entry, sha256(data))
            self._store.transact(lambda connection: _enter(connection, posting, now, by))
            return posting

    def agreement(self, entry: StatusEntry | None) -> Agreement | None:
        """The activated file, verified with its two pinned keys; None when there is none.

        Raises EvidenceMismatch when its files are gone or differ.
        """
        if entry is None:
            return None
        keys = (PublicKey.from_text(entry.party_a_key), PublicKey.from_text(entry.party_b_key))
        return self._version(entry.digest, entry.agreement, *keys)

    def _version(self, digest: str, name: str, a: PublicKey, b: PublicKey) -> Agreement:
        path = self._places.agreements / f"{digest}.yaml"
        try:
            data, envelope = path.read_bytes(), path.with_suffix(_SUFFIX).read_bytes()
        except OSError:
            raise EvidenceMismatch(f"agreement {name} has lost its files", code="agreement.missing") from None
        return open_version(
            data, envelope, a, b, name, lambda before: self._version(before, name, a, b), both=_opened
        )

    def _chain(self, name: str, head: RegisterHead) -> tuple[Posting, ...]:
        files = _files(self._places.registers / name, head.seq)
        return self._verified(name, files, head, "custodian")

    def _newest(self, name: str) -> RegisterHead:
        def newest(connection: Connection) -> RegisterHead:
            row = connection.execute(_NEWEST, {"name": name}).first()
            return RegisterHead() if row is None else RegisterHead(row.seq, row.digest)

        return self._store.read(newest)

    def _reviewed(self, name: str) -> tuple[Posting, ...]:
        head = self._newest(name)
        return self._verified(name, _files(self._places.reviews(name), head.seq), head, "gate")

    def _verified(
        self, name: str, files: list[tuple[int, bytes]], head: RegisterHead, hand: str
    ) -> tuple[Posting, ...]:
        known = self._known.get(name)
        ends = RegisterHead(len(known), known[-1].digest if known else "") if known is not None else None
        if known is None or ends != head or [p.digest for p in known] != [sha256(data) for _, data in files]:
            known = read_chain(name, files, head, self._trust(hand))
        self._known[name] = known
        return known

    def _log(self, chains: object) -> None:
        found = [posting for chain in chains for posting in chain]  # type: ignore[attr-defined]

        missing = [p for p in found if (p.register, p.seq) not in self._logged]
        if not missing:
            return
        now = self._clock()

        def keep(connection: Connection) -> None:
            asked = sa.select(postings.c.register, postings.c.seq)
            logged = {(row.register, row.seq) for row in connection.execute(asked)}
            for posting in missing:
                if (posting.register, posting.seq) not in logged:
                    _enter(connection, posting, now, posting.by)

        self._store.transact(keep)
        self._logged |= {(posting.register, posting.seq) for posting in missing}


def _enter(connection: Connection, posting: Posting, now: datetime, by: str) -> None:
    values = {"register": posting.register, "seq": posting.seq, "digest": posting.digest}
    connection.execute(postings.insert().values(**values))
    log.append(connection, "posting", now, by, **values)


def _files(folder: Path, count: int) -> list[tuple[int, bytes]]:
    """The files that the head counts; one that is missing is left out, and the chain will not verify."""
    found = []
    for seq in range(1, count + 1):
        try:
            found.append((seq, (folder / f"{seq}{_SUFFIX}").read_bytes()))
        except FileNotFoundError:
            continue
    return found
