"""Keys, a head and terms in memory, for benches of sealed data that are not about Vault."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.bench.figures import Unmeasured
from sandbox.errors import Conflict
from sandbox.sealing.head import DatasetHead, HeadSeen
from sandbox.sealing.version import Hands, Terms
from sandbox.statements import Ed25519Signer

DATASET = "bench"
TERMS = Terms(
    "bench", "a" * 64, ("train",), "2099-01-01T00:00:00Z", "XX", "c" * 64, {}, "2026-01-01T00:00:00Z"
)


@dataclass
class Keys:
    """Hands data keys back as they came, under a number: fits ``KeyMaker`` and ``Keyring``, and protects nothing."""

    held: dict[str, bytes] = field(default_factory=dict)

    def create_subject_key(self, dataset: str, subject: str) -> None:
        """Nothing is made."""

    def wrap_data_key(self, dataset: str, subject: str, key: bytes) -> str:  # noqa: ARG002
        name = f"vault:v1:{secrets.token_hex(20)}"
        self.held[name] = key
        return name

    def unwrap_data_key(self, dataset: str, subject: str, wrapped: str) -> bytes:  # noqa: ARG002
        return self.held[wrapped]

    def unwrap_index_key(self, dataset: str, wrapped: str) -> bytes:  # noqa: ARG002
        return self.held[wrapped]

    def rotate_key(self, dataset: str, subject: str) -> None:
        """Nothing to rotate."""

    def rewrap_data_key(self, dataset: str, subject: str, wrapped: str) -> str:  # noqa: ARG002
        return wrapped

    def retire_wraps(self, dataset: str, subject: str, below: int) -> None:
        """Nothing to retire."""


@dataclass
class MemoryHead:
    """Check-and-set over one value."""

    head: DatasetHead | None = None
    cas: int = 0

    def read(self) -> HeadSeen:
        return HeadSeen(self.head, self.cas)

    def move(self, head: DatasetHead, cas: int) -> None:
        if cas != self.cas:
            raise Conflict("the head was moved")
        self.head, self.cas = head, cas + 1


@dataclass
class Custodian:
    """Everything a writer works with, and what a reader needs to open what it wrote."""

    keys: Keys = field(default_factory=Keys)
    head: MemoryHead = field(default_factory=MemoryHead)
    signer: Ed25519Signer = field(default_factory=lambda: Ed25519Signer(Ed25519PrivateKey.generate()))

    @property
    def hands(self) -> Hands:
        return Hands(self.keys, self.signer, self.head, [self.signer.public])

    def newest(self) -> DatasetHead:
        """Raises Unmeasured when nothing was sealed."""
        if self.head.head is None:
            raise Unmeasured("nothing was sealed")
        return self.head.head


def hands() -> Hands:
    """Those of a custodian of their own."""
    return Custodian().hands
