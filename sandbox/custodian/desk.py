"""What every duty of the custodian works with, and what it may ask of Vault."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from sandbox.custodian.registers import Heads, KeptValue, Registers
from sandbox.errors import NotFound
from sandbox.policy.registers import Registers as Picture
from sandbox.policy.registers import fold
from sandbox.records import check_id
from sandbox.sealing.head import DatasetHead, HeadSeen
from sandbox.sealing.keyring import KeyMaker
from sandbox.sealing.manifest import OpenedManifest, open_at_head
from sandbox.sealing.storage import Store
from sandbox.sealing.version import Hands
from sandbox.statements import PublicKey, Signer
from sandbox.storage.root import LocalRoot, Root


class Vault(KeyMaker, Heads, Protocol):
    """The part of ``sandbox.vault.custody.Custody`` that duties use."""

    def create_derivatives_key(self, agreement: str) -> None: ...

    def destroy_key(self, dataset: str, subject: str) -> None: ...

    def prove_destroyed(self, dataset: str, subject: str, wrapped: str) -> None: ...

    def head(self, dataset: str) -> KeptValue: ...

    def set_head(self, dataset: str, value: Mapping[str, Any], cas: int) -> int: ...

    def write_run_policy(self, dataset: str, purpose: str, barred: Iterable[str] = ()) -> None: ...

    def delete_run_policy(self, dataset: str, purpose: str) -> None: ...

    def add_person(self, name: str, password: str) -> None: ...

    def disable_person(self, name: str) -> None: ...

    def map_subject(self, name: str, subject: str) -> None: ...

    def has_factor(self, name: str) -> bool: ...

    def code_fits(self, name: str, code: str) -> bool: ...

    def draw_factor(self, name: str) -> str: ...

    def confirm_factor(self, name: str, address: str, code: str) -> bool: ...

    def drop_factor(self, name: str) -> None: ...

    def intake_key(self) -> bytes: ...


@dataclass(frozen=True)
class VaultHead:
    """One dataset's head in Vault; fits ``sandbox.sealing.head.Head``."""

    vault: Vault
    dataset: str

    def read(self) -> HeadSeen:
        kept = self.vault.head(self.dataset)
        return HeadSeen(DatasetHead.from_json(kept.value) if kept.value else None, kept.cas)

    def move(self, head: DatasetHead, cas: int) -> None:
        self.vault.set_head(self.dataset, head.to_json(), cas)


@dataclass(frozen=True)
class Desk:
    """The custodian's places, its hand in Vault, its registers, its clock."""

    sealed: Path
    agreements: Path
    vault: Vault
    registers: Registers
    signer: Signer
    trusted: Callable[[], Sequence[PublicKey]]
    clock: Callable[[], datetime]
    lock: threading.RLock = field(
        default_factory=threading.RLock
    )  # one change of policies or versions at a time
    gate_keys: Callable[[], Sequence[PublicKey]] = lambda: ()  # whose receipts count
    snapshot_days: int = 30  # how long a snapshot of Vault may live: configs/backup.yaml
    opening: set[str] = field(default_factory=set)  # consignments that are being sealed now
    elsewhere: Root | None = None  # an object store, where sealed datasets do not lie in ``sealed``

    @property
    def intake(self) -> Path:
        """Consignments as they came, beside the sealed datasets; for the custodian alone."""
        return self.sealed.parent / "consignments"

    @property
    def root(self) -> Root:
        """Where sealed datasets lie."""
        return self.elsewhere or LocalRoot(self.sealed)

    def folder(self, dataset: str) -> Store:
        """One dataset's objects."""
        return self.root.store(dataset)

    def hands(self, dataset: str) -> Hands:
        return Hands(self.vault, self.signer, VaultHead(self.vault, dataset), self.trusted())

    def datasets(self) -> list[str]:
        """Every dataset that was ever sealed here."""
        return sorted({dataset for dataset, _ in self.now("dataset").datasets})

    def now(self, *names: str) -> Picture:
        """What the registers ``names`` say now: of each key the latest entry."""
        return fold({name: self.registers.entries(name) for name in names})

    def manifest(self, dataset: str) -> OpenedManifest:
        """The newest version, verified from the head on. Raises NotFound when nothing was sealed under that name."""
        seen = VaultHead(self.vault, check_id("dataset", dataset)).read()
        if seen.head is None:
            raise NotFound(f"there is no dataset {dataset}", code="dataset.unknown")
        return open_at_head(self.folder(dataset), dataset, seen.head, self.trusted())
