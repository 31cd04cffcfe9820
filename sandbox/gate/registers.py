"""The registers as the gate sees them: the custodian's files against Vault's heads, at every admission.

A register whose files and head differ stops admission; nothing is guessed. Every entry that the gate has seen is named
in its own log, so a custodian cannot rewrite history either.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import EvidenceMismatch
from sandbox.gate import log
from sandbox.gate.files import write_whole
from sandbox.gate.hands import Vault
from sandbox.gate.places import Places
from sandbox.gate.store import Store
from sandbox.gate.tables import postings
from sandbox.policy.agreement import Agreement, open_agreement
from sandbox.policy.entries import ApprovalEntry, StatusEntry
from sandbox.policy.registers import APPROVALS, NAMES, Posting, RegisterHead, Registers, fold, read_chain
from sandbox.runs import utc
from sandbox.statements import PublicKey, canonical_json, sha256, sign_statement

_SUFFIX = ".dsse.json"
_opened = lru_cache(maxsize=64)(
    open_agreement
)  # the same bytes and keys give the same terms; reading them takes long


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
            chains[APPROVALS] = self._approvals()
            self._log(chain for name, chain in chains.items() if name != APPROVALS)
        return fold(chains)

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

    def approve(self, entry: ApprovalEntry, by: str) -> Posting:
        """Enter a reviewer's approval: signed by the gate, named in the log. Raises Unreachable without Vault."""
        with self._lock:
            chain, now = self._approvals(), self._clock().replace(microsecond=0)
            said, seq = entry.model_dump(mode="json"), len(chain) + 1
            previous = chain[-1].digest if chain else None
            predicate = {"seq": seq, "previous": previous, "at": utc(now), "by": by, "entry": said}
            subject = (f"{APPROVALS}/{seq}", sha256(canonical_json(said)))
            data = sign_statement(APPROVALS, [subject], predicate, [self._vault.signer()])
            write_whole(self._places.approvals / f"{seq}{_SUFFIX}", data)
            posting = Posting(APPROVALS, seq, now, by, entry, sha256(data))
            self._store.transact(lambda connection: _enter(connection, posting, now, by))
            return posting

    def agreement(self, entry: StatusEntry | None) -> Agreement | None:
        """The activated file, verified with its two pinned keys; None when there is none.

        Raises EvidenceMismatch when its files are gone or differ.
        """
        if entry is None:
            return None
        path = self._places.agreements / f"{entry.digest}.yaml"
        try:
            data, envelope = path.read_bytes(), path.with_suffix(_SUFFIX).read_bytes()
        except OSError:
            raise EvidenceMismatch(
                f"agreement {entry.agreement} has lost its files", code="agreement.missing"
            ) from None
        keys = (PublicKey.from_text(entry.party_a_key), PublicKey.from_text(entry.party_b_key))
        return _opened(data, envelope, *keys, name=entry.agreement)

    def _chain(self, name: str, head: RegisterHead) -> tuple[Posting, ...]:
        files = _files(self._places.registers / name, head.seq)
        return self._verified(name, files, head, "custodian")

    def _approvals(self) -> tuple[Posting, ...]:
        def newest(connection: Connection) -> RegisterHead:
            asked = sa.select(postings.c.seq, postings.c.digest).where(postings.c.register == APPROVALS)
            row = connection.execute(asked.order_by(postings.c.seq.desc()).limit(1)).first()
            return RegisterHead() if row is None else RegisterHead(row.seq, row.digest)

        head = self._store.read(newest)
        return self._verified(APPROVALS, _files(self._places.approvals, head.seq), head, "gate")

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
