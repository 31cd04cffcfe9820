"""A small sealed corpus and the ways to tamper with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.records import INDEX_KEY, IndexRow, Manifest, index_aad
from sandbox.sealing import index
from sandbox.sealing.head import DatasetHead
from sandbox.sealing.manifest import (
    OpenedManifest,
    index_name,
    keys_name,
    manifest_name,
    objects,
    open_at_head,
)
from sandbox.sealing.reader import SealedDataset, decrypt_index, open_version, read_pinned, read_rows
from sandbox.sealing.records import Record, cipher, encrypt
from sandbox.sealing.storage import Folder
from sandbox.sealing.version import Hands, Terms
from sandbox.sealing.writer import Sealing, seal
from sandbox.statements import Ed25519Signer, Signer, canonical_json, sha256, sign_statement
from tests.fakes.keys import Keys, MemoryHead

DATASET = "digits"
ANNA, BEN = "spk_anna", "spk_ben0"
CANARY = b"CANARY-the-quick-brown-voice-7141"
TERMS = Terms(
    agreement="dsa-2026-0001",
    agreement_digest="a" * 64,
    purposes=("train",),
    retention_until="2027-01-31T15:59:59Z",
    region="CN-AH",
    consent_digest="c" * 64,
    processing={},
    created_at="2026-11-24T00:00:00Z",
)


def record(name: str, subject: str, body: bytes = b"") -> Record:
    """All records have the same length, so a swap is caught by a check and not by chance."""
    return Record(name, subject, "en", 16_000, 800, CANARY.decode(), CANARY + name.encode() + body)


RECORDS = [record(f"u{n}", subject) for n, subject in enumerate([ANNA, ANNA, BEN, BEN])]


@dataclass
class World:
    """A folder, keys, a head and a signer; sealed once with ``RECORDS`` in two shards."""

    root: Path
    keys: Keys = field(default_factory=Keys)
    head: MemoryHead = field(default_factory=MemoryHead)
    signer: Ed25519Signer = field(default_factory=lambda: Ed25519Signer(Ed25519PrivateKey.generate()))
    dataset: str = DATASET
    shard_bytes: int = 2048

    @property
    def folder(self) -> Folder:
        return Folder(self.root)

    @property
    def hands(self) -> Hands:
        return Hands(self.keys, self.signer, self.head, [self.signer.public])

    def seal(self, records: Iterable[Record] = tuple(RECORDS)) -> Sealing:
        return seal(records, self.dataset, TERMS, self.folder, self.hands, shard_bytes=self.shard_bytes)

    def open_manifest(self) -> OpenedManifest:
        assert self.head.head
        return open_at_head(self.folder, self.dataset, self.head.head, [self.signer.public])

    def manifest(self) -> Manifest:
        return self.open_manifest().manifest

    def open(self, subjects: list[str] | None = None) -> SealedDataset:
        assert self.head.head
        opened = open_at_head(self.folder, self.dataset, self.head.head, [self.signer.public])
        return open_version(self.folder, opened, self.keys, subjects)

    def read_all(self) -> list[Record]:
        return list(self.open().stream())

    def rows(self) -> list[IndexRow]:
        manifest = self.manifest()
        wraps, sealed = read_pinned(self.folder, manifest)
        key = cipher(self.keys.unwrap_index_key(self.dataset, wraps[INDEX_KEY][-1]))
        return list(read_rows(decrypt_index(sealed, manifest, key), manifest, wraps))

    def shard(self, number: int) -> Path:
        return self.root / "shards" / f"{self.manifest().shards[number].sha256}.tar"

    # Tampering

    def patch(self, path: Path, offset: int, data: bytes) -> None:
        held = bytearray(path.read_bytes())
        held[offset : offset + len(data)] = data
        path.write_bytes(held)

    def flip(self, path: Path, offset: int) -> None:
        self.patch(path, offset, bytes([path.read_bytes()[offset] ^ 1]))

    def sealed(self, row: IndexRow) -> bytes:
        return self.shard(row.shard).read_bytes()[row.offset : row.offset + row.length]

    def put(self, row: IndexRow, sealed: bytes) -> None:
        self.patch(self.shard(row.shard), row.offset, sealed)

    def sign(self, manifest: Manifest, signer: Signer | None = None, name: str = "manifest") -> None:
        """Replace the newest manifest by one that is properly signed, and let the head follow."""
        assert self.head.head
        envelope = sign_statement(name, objects(manifest), manifest.to_predicate(), [signer or self.signer])
        version = self.head.head.version
        (self.root / manifest_name(version)).write_bytes(envelope)
        self.head.head = DatasetHead(version, sha256(envelope), self.head.head.min_version)

    def sign_keys(self, wraps: dict[str, list[str]], signer: Signer | None = None) -> None:
        data = canonical_json(wraps)
        manifest = self.manifest()
        (self.root / keys_name(manifest.version)).write_bytes(data)
        self.sign(replace(manifest, keys_sha256=sha256(data)), signer)

    def sign_rows(self, change: Callable[[list[IndexRow]], list[IndexRow]]) -> None:
        """Replace the index by one with other rows, properly sealed and signed."""
        manifest = self.manifest()
        wraps, _ = read_pinned(self.folder, manifest)
        key = cipher(self.keys.unwrap_index_key(self.dataset, wraps[INDEX_KEY][-1]))
        rows = change(self.rows())
        data = encrypt(key, index.pack(rows), index_aad(self.dataset, manifest.version))
        (self.root / index_name(manifest.version)).write_bytes(data)
        self.sign(replace(manifest, index_sha256=sha256(data), records=len(rows)))
