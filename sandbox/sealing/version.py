"""Writing one version: index, keys and manifest under names that are free, then the head.

Until the head moves, the version before it stays the valid one. A version's number may skip: what a crash or a lost
race left behind is never touched again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sandbox.errors import Conflict, SealBroken
from sandbox.records import FORMAT, INDEX_KEY, Manifest, Shard, index_aad
from sandbox.sealing import index as index_
from sandbox.sealing.head import DatasetHead, Head
from sandbox.sealing.keyring import KeyMaker
from sandbox.sealing.manifest import READER, STATEMENT, index_name, keys_name, manifest_name, objects
from sandbox.sealing.previous import Previous
from sandbox.sealing.records import cipher, draw_key, encrypt
from sandbox.sealing.rows import Rows
from sandbox.sealing.shards import ShardWriter
from sandbox.sealing.storage import Store
from sandbox.statements import PublicKey, Signer, canonical_json, sha256, sign_statement


@dataclass(frozen=True)
class Terms:
    """What a manifest says besides the data: under which agreement, for what, until when, where, made how."""

    agreement: str
    agreement_digest: str
    purposes: tuple[str, ...]
    retention_until: str
    region: str
    consent_digest: str
    processing: Mapping[str, Any]
    created_at: str

    @classmethod
    def kept(cls, before: Manifest, consent_digest: str, created_at: str) -> Terms:
        """Those of the version before: who rotates, corrects, erases or compacts changes no purpose."""
        return cls(
            agreement=before.agreement,
            agreement_digest=before.agreement_digest,
            purposes=before.purposes,
            retention_until=before.retention_until,
            region=before.region,
            consent_digest=consent_digest,
            processing=before.processing,
            created_at=created_at,
        )


Renewed = Callable[[Manifest], Terms]
"""The terms of a next version that adds nothing, from the manifest before."""


@dataclass(frozen=True)
class Hands:
    """Whom a writer works with. ``trusted`` are the custodian's own public keys."""

    keys: KeyMaker
    signer: Signer
    head: Head
    trusted: Sequence[PublicKey]


@dataclass(frozen=True)
class Content:
    """What a version holds: its shards, rows, each subject's wraps, and who was erased."""

    shards: tuple[Shard, ...]
    rows: Rows = field(repr=False)
    wraps: Mapping[str, Sequence[str]] = field(repr=False)
    tombstones: tuple[str, ...]


def in_use(shards: Sequence[Shard], rows: Rows) -> tuple[tuple[Shard, ...], Rows]:
    """The shards that hold a row, and the rows with those shards' numbers."""
    used = np.bincount(rows.columns["shard"], minlength=len(shards)) > 0
    numbers = np.maximum(np.cumsum(used) - 1, 0)
    kept = tuple(shard for shard, is_used in zip(shards, used, strict=True) if is_used)
    return kept, rows.changed(shard=numbers[rows.columns["shard"]]) if kept else rows


class VersionWriter:
    """Writes one next version of one dataset. ``discard`` takes back what was published, while no head names it.

    ``shards`` are those written for this version alone; they go with it.
    """

    def __init__(
        self, dataset: str, folder: Store, hands: Hands, before: Previous, shards: ShardWriter | None = None
    ) -> None:
        self._dataset = dataset
        self._folder = folder
        self._hands = hands
        self._before = before
        self._shards = shards
        self._published: list[str] = []

    def enter(self, content: Content, terms: Terms, min_version: int | None = None) -> tuple[Manifest, str]:
        """Write, and move the head. ``min_version`` None: nothing before this version may be opened any more.

        Raises:
            Conflict: another writer was first; everything was taken back.
        """
        try:
            manifest, digest = self.write(content, terms)
        except Exception:
            self.discard()
            raise
        self.move_head(DatasetHead(manifest.version, digest, min_version or manifest.version))
        return manifest, digest

    def write(self, content: Content, terms: Terms) -> tuple[Manifest, str]:
        """The signed manifest and its digest. Nothing names it yet."""
        version = self._before.next_version(self._folder)
        wraps, sealed_index = self._seal_index(version, content)
        keys = canonical_json(wraps)
        manifest = Manifest(
            format=FORMAT,
            dataset=self._dataset,
            version=version,
            previous=self._before.digest,
            records=len(content.rows),
            hours=content.rows.hours(),
            subjects=tuple(sorted(content.wraps)),
            shards=content.shards,
            index_sha256=sha256(sealed_index),
            keys_sha256=sha256(keys),
            agreement=terms.agreement,
            agreement_digest=terms.agreement_digest,
            purposes=terms.purposes,
            retention_until=terms.retention_until,
            region=terms.region,
            consent_digest=terms.consent_digest,
            tombstones=content.tombstones,
            key_versions={subject: key_version(listed[-1]) for subject, listed in wraps.items()},
            min_reader=str(READER),
            processing=terms.processing,
            created_at=terms.created_at,
        )
        envelope = sign_statement(STATEMENT, objects(manifest), manifest.to_predicate(), [self._hands.signer])
        self._publish(index_name(version), sealed_index)
        self._publish(keys_name(version), keys)
        self._publish(manifest_name(version), envelope)
        return manifest, sha256(envelope)

    def move_head(self, head: DatasetHead) -> None:
        """Raises Conflict when another writer was first, and takes back what was published.

        After any other fault the objects stay: the head may have moved all the same.
        """
        try:
            self._hands.head.move(head, self._before.cas)
        except Conflict:
            self.discard()
            raise Conflict(
                f"another writer changed {self._dataset} first", code="seal.lost_race", mend="try again"
            ) from None

    def discard(self) -> None:
        for name in self._published:
            self._folder.discard(name)
        if self._shards is not None:
            self._shards.discard()

    def _seal_index(self, version: int, content: Content) -> tuple[dict[str, list[str]], bytes]:
        """Under a data key drawn for this version alone."""
        key = draw_key()
        self._hands.keys.create_subject_key(self._dataset, INDEX_KEY)
        wrapped = self._hands.keys.wrap_data_key(self._dataset, INDEX_KEY, key)
        sealed = encrypt(cipher(key), index_.pack(content.rows), index_aad(self._dataset, version))
        return {
            **{subject: list(wraps) for subject, wraps in content.wraps.items()},
            INDEX_KEY: [wrapped],
        }, sealed

    def _publish(self, name: str, data: bytes) -> None:
        self._folder.publish(name, data)
        self._published.append(name)


def key_version(wrapped: str) -> int:
    """The transit key's version, out of ``vault:vN:...``."""
    scheme, _, rest = wrapped.partition(":v")
    number = rest.partition(":")[0]
    if scheme != "vault" or not number.isdecimal():
        raise SealBroken("a wrapped key is not of the form vault:vN:...", code="seal.key_invalid")
    return int(number)
