"""A keyring, a key maker and a head in memory, with the behaviour of the real ones."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections import Counter
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox.errors import Conflict, KeyBarred, NotFound, SealBroken, SubjectErased
from sandbox.records import INDEX_KEY, key_context
from sandbox.sealing.head import DatasetHead, HeadSeen


@dataclass
class Keys:
    """Transit keys by (dataset, subject). Fits Keyring and KeyMaker."""

    masters: dict[tuple[str, str], bytes] = field(default_factory=dict)
    newest: dict[tuple[str, str], int] = field(default_factory=dict)  # version of a key; 1, unless it was rotated
    lowest: dict[tuple[str, str], int] = field(default_factory=dict)  # the oldest version that still opens
    barred: set[str] = field(default_factory=set)
    calls: Counter[str] = field(default_factory=Counter)

    def create_subject_key(self, dataset: str, subject: str) -> None:
        self.calls["create"] += 1
        self.masters.setdefault((dataset, subject), secrets.token_bytes(32))

    def wrap_data_key(self, dataset: str, subject: str, key: bytes) -> str:
        self.calls["wrap"] += 1
        nonce = secrets.token_bytes(12)
        version = self.newest.get((dataset, subject), 1)
        sealed = AESGCM(self._key(dataset, subject, version)).encrypt(nonce, key, key_context(dataset))
        return f"vault:v{version}:" + base64.b64encode(nonce + sealed).decode()

    def unwrap_data_key(self, dataset: str, subject: str, wrapped: str) -> bytes:
        self.calls["unwrap"] += 1
        if subject in self.barred:
            raise KeyBarred(f"{subject} is barred")
        return self._open(dataset, subject, wrapped)

    def _open(self, dataset: str, subject: str, wrapped: str) -> bytes:
        _, version, text = wrapped.split(":")
        key = self._key(dataset, subject, int(version[1:]))
        if int(version[1:]) < self.lowest.get((dataset, subject), 1):
            raise SealBroken("was wrapped by a version of the key that is retired")
        sealed = base64.b64decode(text)
        try:
            return AESGCM(key).decrypt(sealed[:12], sealed[12:], key_context(dataset))
        except InvalidTag:
            raise SealBroken("the wrap belongs to another key") from None

    def unwrap_index_key(self, dataset: str, wrapped: str) -> bytes:
        return self.unwrap_data_key(dataset, INDEX_KEY, wrapped)

    def rotate_key(self, dataset: str, subject: str) -> None:
        self._known(dataset, subject)
        self.calls["rotate"] += 1
        self.newest[dataset, subject] = self.newest.get((dataset, subject), 1) + 1

    def rewrap_data_key(self, dataset: str, subject: str, wrapped: str) -> str:
        self._known(dataset, subject)
        return self.wrap_data_key(dataset, subject, self._open(dataset, subject, wrapped))

    def retire_wraps(self, dataset: str, subject: str, below: int) -> None:
        self._known(dataset, subject)
        self.calls["retire"] += 1
        self.lowest[dataset, subject] = below

    def _known(self, dataset: str, subject: str) -> None:
        if (dataset, subject) not in self.masters:
            raise NotFound(f"{subject} has no key", code="vault.key_missing")

    def _key(self, dataset: str, subject: str, version: int) -> bytes:
        return hashlib.sha256(self._master(dataset, subject) + bytes([version])).digest()

    def destroy(self, dataset: str, subject: str) -> None:
        del self.masters[dataset, subject]

    def _master(self, dataset: str, subject: str) -> bytes:
        try:
            return self.masters[dataset, subject]
        except KeyError:
            raise SubjectErased(f"{subject} has no key") from None


@dataclass
class MemoryHead:
    """A dataset's head with check-and-set."""

    head: DatasetHead | None = None
    cas: int = 0

    def read(self) -> HeadSeen:
        return HeadSeen(self.head, self.cas)

    def move(self, head: DatasetHead, cas: int) -> None:
        if cas != self.cas:
            raise Conflict("did not match the current version")
        self.head, self.cas = head, self.cas + 1
