"""Writing the signed registers: a chain of statements in files, and a head in Vault that only moves forward.

Order: files first, then the head by check-and-set. Until the head moved, nothing was entered: what lies above the head
was left by a crash and is taken away before the next entry. Several entries go in under one move of the head, all or
none. One custodian writes; two would meet at the head, and one gets Conflict.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sandbox.custodian.files import write_file
from sandbox.errors import RollbackDetected, StatementError, Usage
from sandbox.policy.entries import Entry, check_entry
from sandbox.policy.registers import Posting, RegisterHead, open_posting
from sandbox.runs import utc
from sandbox.statements import PublicKey, Signer, canonical_json, sha256, sign_statement

_SUFFIX = ".dsse.json"


E = TypeVar("E", bound=Entry)


def check(kind: type[E], register: str, said: Mapping[str, Any]) -> E:
    """What somebody asks to be entered, as an entry of that kind.

    Raises:
        Usage: fields are missing, unknown or of another form; names the fields, not the values.
    """
    try:
        entry = check_entry(register, said)
    except StatementError as fault:
        raise Usage(fault.message, code="entry.invalid") from None
    if not isinstance(entry, kind):
        raise Usage(f"register {register} holds another kind of entry")
    return entry


class KeptValue(Protocol):
    """A value and its check-and-set number, as ``sandbox.vault.heads.Kept``."""

    @property
    def value(self) -> dict[str, Any]: ...

    @property
    def cas(self) -> int: ...


class Heads(Protocol):
    """Where the heads of registers are kept, all in one value; ``sandbox.vault.custody.Custody`` fits."""

    def register_heads(self) -> KeptValue: ...

    def set_register_heads(self, value: Mapping[str, Any], cas: int) -> int: ...


class Registers:
    """All registers of one installation. Thread-safe."""

    def __init__(
        self,
        folder: Path,
        heads: Heads,
        signer: Signer,
        trusted: Callable[[], Sequence[PublicKey]],
        clock: Callable[[], datetime],
    ) -> None:
        self._folder = folder
        self._heads = heads
        self._signer = signer
        self._trusted = trusted
        self._clock = clock
        self._lock = threading.RLock()
        self._known: dict[str, list[Posting]] = {}

    def entries(self, name: str) -> list[Posting]:
        """The whole chain up to the head; each entry is verified once and then remembered.

        Raises:
            RollbackDetected: an entry is missing.
            StatementError: one is out of the chain, or the last is not what the head names.
        """
        with self._lock:
            return list(self._verified(name, RegisterHead.of(self._heads.register_heads().value, name)))

    def digest(self, name: str) -> str:
        """The digest of the register's newest entry; of nothing when it is empty."""
        entries = self.entries(name)
        return entries[-1].digest if entries else sha256(b"")

    def envelopes(self, name: str) -> list[bytes]:
        """The exact bytes of the chain, verified as :meth:`entries` are."""
        with self._lock:
            return [self._path(name, posting.seq).read_bytes() for posting in self.entries(name)]

    def reinstate(self, name: str, envelopes: Sequence[bytes]) -> None:
        """Go on with entries that were in force before a restore, by their very bytes, under one move of the head.

        Raises:
            StatementError: one of them does not follow on; nothing was entered.
        """
        with self._lock:
            kept = self._heads.register_heads()
            head = RegisterHead.of(kept.value, name)
            known = list(self._verified(name, head))
            for data in envelopes:
                previous = known[-1].digest if known else None
                known.append(open_posting(name, len(known) + 1, data, previous, self._trusted()))
            if not envelopes:
                return
            self._sweep(name, head.seq)
            for posting, data in zip(known[head.seq :], envelopes, strict=True):
                path = self._path(name, posting.seq)
                path.parent.mkdir(mode=0o750, exist_ok=True)
                write_file(path, data)
            moved = RegisterHead(known[-1].seq, known[-1].digest).to_json()
            self._heads.set_register_heads({**kept.value, name: moved}, kept.cas)
            self._known[name] = known

    def append(self, name: str, entries: Sequence[Mapping[str, Any]], by: str) -> list[Posting]:
        """Enter all of ``entries`` or none.

        Raises:
            StatementError: one of them is not what this register holds.
            Conflict: somebody else moved the head; nothing was entered.
        """
        checked = [check_entry(name, entry) for entry in entries]
        with self._lock:
            kept = self._heads.register_heads()
            head = RegisterHead.of(kept.value, name)
            known = self._verified(name, head)
            self._sweep(name, head.seq)
            made, previous = [], head.digest or None
            for seq, entry in enumerate(checked, head.seq + 1):
                made.append(self._write(name, seq, previous, by, entry))
                previous = made[-1].digest
            if made:
                moved = RegisterHead(made[-1].seq, made[-1].digest).to_json()
                self._heads.set_register_heads({**kept.value, name: moved}, kept.cas)
                self._known[name] = known + made
            return made

    def _verified(self, name: str, head: RegisterHead) -> list[Posting]:
        known = self._known.setdefault(name, [])
        while len(known) < head.seq:
            known.append(self._read(name, len(known) + 1, known[-1].digest if known else None))
        if (len(known), known[-1].digest if known else "") != (head.seq, head.digest):
            raise StatementError(f"register {name} is not what its head names", code="register.head")
        return known

    def _write(self, name: str, seq: int, previous: str | None, by: str, entry: Entry) -> Posting:
        said = entry.model_dump(mode="json")
        at = self._clock().replace(microsecond=0)
        predicate = {"seq": seq, "previous": previous, "at": utc(at), "by": by, "entry": said}
        subject = (f"{name}/{seq}", sha256(canonical_json(said)))
        envelope = sign_statement(name, [subject], predicate, [self._signer])
        path = self._path(name, seq)
        path.parent.mkdir(mode=0o750, exist_ok=True)
        write_file(path, envelope)
        return Posting(name, seq, at, by, entry, sha256(envelope))

    def _read(self, name: str, seq: int, previous: str | None) -> Posting:
        try:
            data = self._path(name, seq).read_bytes()
        except OSError:
            raise RollbackDetected(f"register {name} lacks entry {seq}", code="register.rollback") from None
        return open_posting(name, seq, data, previous, self._trusted())

    def _sweep(self, name: str, seq: int) -> None:
        """Take away what a crash left above the head: nobody was ever told that it was entered."""
        folder = self._folder / name
        for path in folder.glob(f"*{_SUFFIX}") if folder.is_dir() else ():
            number = path.name.removesuffix(_SUFFIX)
            if number.isdecimal() and int(number) > seq:
                path.unlink()

    def _path(self, name: str, seq: int) -> Path:
        return self._folder / name / f"{seq}{_SUFFIX}"
