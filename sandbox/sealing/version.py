"""Writing one version: index, keys and manifest under names that are free, then the head.

Until the head moves, the version before it stays the valid one. A version's number may skip: what a crash or a lost
race left behind is never touched again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.errors import Conflict, SealBroken
from sandbox.records import FORMAT, INDEX_KEY, IndexRow, Manifest, Shard, index_aad
from sandbox.sealing import index as index_
from sandbox.sealing.head import DatasetHead, Head
from sandbox.sealing.keyring import KeyMaker
from sandbox.sealing.manifest import READER, STATEMENT, index_name, keys_name, manifest_name, objects
from sandbox.sealing.previous import Previous
from sandbox.sealing.records import cipher, draw_key, encrypt
from sandbox.sealing.storage import Folder
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
    rows: Sequence[IndexRow] = field(repr=False)
    wraps: Mapping[str, Sequence[str]] = field(repr=False)
    tombstones: tuple[str, ...]


class VersionWriter:
    """Writes one next version of one dataset. ``discard`` takes back what was published, while no head names it."""

    def __init__(self, dataset: str, folder: Folder, hands: Hands, before: Previous) -> None:
        self._dataset = dataset
        self._folder = folder
        self._hands = hands
        self._before = before
        self._published: list[str] = []

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
            hours=round(sum(row.samples / row.sample_rate for row in content.rows) / 3600, 6),
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
            key_versions={subject: _key_version(listed[-1]) for subject, listed in wraps.items()},
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


def _key_version(wrapped: str) -> int:
    """The transit key's version, out of ``vault:vN:...``."""
    scheme, _, rest = wrapped.partition(":v")
    number = rest.partition(":")[0]
    if scheme != "vault" or not number.isdecimal():
        raise SealBroken("a wrapped key is not of the form vault:vN:...", code="seal.key_invalid")
    return int(number)
