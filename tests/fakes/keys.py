"""A keyring, a key maker and a head in memory, with the behaviour of the real ones."""

from __future__ import annotations

import base64
import secrets
from collections import Counter
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox.errors import Conflict, KeyBarred, SealBroken, SubjectErased
from sandbox.records import INDEX_KEY, key_context
from sandbox.sealing.head import DatasetHead, HeadSeen


@dataclass
class Keys:
    """Transit keys by (dataset, subject). Fits Keyring and KeyMaker."""

    masters: dict[tuple[str, str], bytes] = field(default_factory=dict)
    barred: set[str] = field(default_factory=set)
    calls: Counter[str] = field(default_factory=Counter)

    def create_subject_key(self, dataset: str, subject: str) -> None:
        self.calls["create"] += 1
        self.masters.setdefault((dataset, subject), secrets.token_bytes(32))

    def wrap_data_key(self, dataset: str, subject: str, key: bytes) -> str:
        self.calls["wrap"] += 1
        nonce = secrets.token_bytes(12)
        sealed = AESGCM(self._master(dataset, subject)).encrypt(nonce, key, key_context(dataset))
        return "vault:v1:" + base64.b64encode(nonce + sealed).decode()

    def unwrap_data_key(self, dataset: str, subject: str, wrapped: str) -> bytes:
        self.calls["unwrap"] += 1
        if subject in self.barred:
            raise KeyBarred(f"{subject} is barred")
        sealed = base64.b64decode(wrapped.removeprefix("vault:v1:"))
        try:
            return AESGCM(self._master(dataset, subject)).decrypt(
                sealed[:12], sealed[12:], key_context(dataset)
            )
        except InvalidTag:
            raise SealBroken("the wrap belongs to another key") from None

    def unwrap_index_key(self, dataset: str, wrapped: str) -> bytes:
        return self.unwrap_data_key(dataset, INDEX_KEY, wrapped)

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
