"""Sealing: records in memory become shards, an index, a keys file, a signed manifest, and last of all a moved head.

Until the head moves, the version before it stays the valid one: a crash between any two writes, a full disk or a
second writer leaves nothing but ciphertext that no head names. A version's number may therefore skip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox.errors import Conflict, SealBroken, SubjectErased, Usage
from sandbox.records import FORMAT, INDEX_KEY, TAG_BYTES, IndexRow, Manifest, Shard, check_id, index_aad
from sandbox.sealing import index as index_
from sandbox.sealing.head import DatasetHead, Head
from sandbox.sealing.keyring import KeyMaker
from sandbox.sealing.manifest import READER, STATEMENT, index_name, keys_name, manifest_name, objects
from sandbox.sealing.previous import open_previous
from sandbox.sealing.records import MAX_SEALED_BYTES, Record, cipher, draw_key, encrypt, seal_record
from sandbox.sealing.shards import SHARD_BYTES, ShardWriter
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
class Sealing:
    """What a sealing made: the new version, its digest, how many records it added, bytes before and after."""

    manifest: Manifest
    digest: str
    added: int
    plain_bytes: int
    sealed_bytes: int


def seal(
    records: Iterable[Record],
    dataset: str,
    terms: Terms,
    folder: Folder,
    hands: Hands,
    *,
    shard_bytes: int = SHARD_BYTES,
    progress: Callable[[int], None] | None = None,
) -> Sealing:
    """Add ``records`` to ``dataset`` (new when it has no head) as its next version.

    Raises:
        Usage: no record, or one that is there already.
        SubjectErased: a record of somebody who was erased from this dataset.
        Conflict: another writer was first; nothing changed.
        Unreachable: storage or Vault failed; nothing changed.
        SealBroken: the version before is not what was signed.
    """
    check_id("dataset", dataset)
    return _Sealing(dataset, terms, folder, hands, shard_bytes).run(records, progress or (lambda _: None))


class _Sealing:
    def __init__(self, dataset: str, terms: Terms, folder: Folder, hands: Hands, shard_bytes: int) -> None:
        self._dataset = dataset
        self._terms = terms
        self._folder = folder
        self._hands = hands
        self._shards = ShardWriter(folder, shard_bytes)
        self._before = open_previous(folder, dataset, hands.head, hands.keys, hands.trusted)
        self._ciphers: dict[str, AESGCM] = {}
        self._wraps = {subject: list(wraps) for subject, wraps in self._before.wraps}
        self._rows = list(self._before.rows)
        self._known = {row.record for row in self._rows}
        self._plain_bytes = 0
        self._published: list[str] = []

    def run(self, records: Iterable[Record], progress: Callable[[int], None]) -> Sealing:
        try:
            for count, record in enumerate(records, 1):
                self._add(record)
                progress(count)
            added = len(self._rows) - len(self._before.rows)
            if not added:
                raise Usage("there is nothing to seal", code="seal.empty")
            shards = self._shards.close()
            manifest, digest = self._write(shards)
        except Exception:
            self._discard()
            raise
        self._move(DatasetHead(manifest.version, digest, self._before.min_version))
        return Sealing(manifest, digest, added, self._plain_bytes, sum(shard.size for shard in shards))

    def _add(self, record: Record) -> None:
        check_id("record", record.record)
        check_id("subject", record.subject)
        if not index_.LANGUAGE.fullmatch(record.language):
            raise Usage(
                f"record {record.record} has no language tag that can be read", mend="write it as en or pt-BR"
            )
        if record.record in self._known:
            raise Usage(f"record {record.record} is in {self._dataset} already", code="seal.record_exists")
        if not record.samples > 0 < record.sample_rate:
            raise Usage(f"record {record.record} has no audio")
        sealed = seal_record(record, self._dataset, 1, self._cipher(record.subject))
        if len(sealed) > MAX_SEALED_BYTES:
            raise Usage(f"record {record.record} is larger than {MAX_SEALED_BYTES >> 20} MiB")
        shard, offset = self._shards.add(record.record, sealed)
        shard += len(self._before.shards)
        key = len(self._wraps[record.subject]) - 1
        self._rows.append(_row(record, sealed, shard, offset, key))
        self._known.add(record.record)
        self._plain_bytes += len(record.flac) + len(record.text.encode())

    def _cipher(self, subject: str) -> AESGCM:
        """One data key a subject and sealing, drawn here, wrapped by the subject's own transit key."""
        if subject not in self._ciphers:
            if subject in self._before.tombstones:
                raise SubjectErased(
                    f"{subject} was erased from {self._dataset}; an erased id is never used again"
                )
            key = draw_key()
            self._hands.keys.create_subject_key(self._dataset, subject)
            self._wraps.setdefault(subject, []).append(
                self._hands.keys.wrap_data_key(self._dataset, subject, key)
            )
            self._ciphers[subject] = cipher(key)
        return self._ciphers[subject]

    def _write(self, shards: list[Shard]) -> tuple[Manifest, str]:
        """Index, keys and manifest, each under a name that was free."""
        version = self._before.next_version(self._folder)
        index_key = draw_key()
        self._hands.keys.create_subject_key(self._dataset, INDEX_KEY)
        wraps = {
            **self._wraps,
            INDEX_KEY: [self._hands.keys.wrap_data_key(self._dataset, INDEX_KEY, index_key)],
        }
        sealed_index = encrypt(cipher(index_key), index_.pack(self._rows), index_aad(self._dataset, version))
        keys = canonical_json(wraps)
        before, terms = self._before, self._terms
        manifest = Manifest(
            format=FORMAT,
            dataset=self._dataset,
            version=version,
            previous=self._before.digest,
            records=len(self._rows),
            hours=round(sum(row.samples / row.sample_rate for row in self._rows) / 3600, 6),
            subjects=tuple(sorted(self._wraps)),
            shards=(*before.shards, *shards),
            index_sha256=sha256(sealed_index),
            keys_sha256=sha256(keys),
            agreement=terms.agreement,
            agreement_digest=terms.agreement_digest,
            purposes=terms.purposes,
            retention_until=terms.retention_until,
            region=terms.region,
            consent_digest=terms.consent_digest,
            tombstones=before.tombstones,
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

    def _publish(self, name: str, data: bytes) -> None:
        self._folder.publish(name, data)
        self._published.append(name)

    def _move(self, head: DatasetHead) -> None:
        """After a lost race the files go. After any other fault they stay: the head may have moved all the same."""
        try:
            self._hands.head.move(head, self._before.cas)
        except Conflict:
            self._discard()
            raise Conflict(
                f"another writer sealed {self._dataset} first", code="seal.lost_race", mend="seal again"
            ) from None

    def _discard(self) -> None:
        self._shards.discard()
        for name in self._published:
            self._folder.discard(name)


def _row(record: Record, sealed: bytes, shard: int, offset: int, key: int) -> IndexRow:
    return IndexRow(
        record=record.record,
        subject=record.subject,
        revision=1,
        shard=shard,
        offset=offset,
        length=len(sealed),
        tag=sealed[-TAG_BYTES:],
        samples=record.samples,
        sample_rate=record.sample_rate,
        characters=len(record.text),
        language=record.language,
        key=key,
    )


def _key_version(wrapped: str) -> int:
    """The transit key's version, out of ``vault:vN:...``."""
    scheme, _, rest = wrapped.partition(":v")
    number = rest.partition(":")[0]
    if scheme != "vault" or not number.isdecimal():
        raise SealBroken("a wrapped key is not of the form vault:vN:...", code="seal.key_invalid")
    return int(number)
