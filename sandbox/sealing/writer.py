"""Sealing: records in memory become shards, then a version (:mod:`sandbox.sealing.version`), and last the head moves.

A crash between any two writes, a full disk or a second writer leaves nothing but ciphertext that no head names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox.errors import SubjectErased, Usage
from sandbox.records import TAG_BYTES, IndexRow, Manifest, check_id
from sandbox.sealing import index as index_
from sandbox.sealing.previous import open_previous
from sandbox.sealing.records import MAX_SEALED_BYTES, Record, cipher, draw_key, seal_record
from sandbox.sealing.shards import SHARD_BYTES, ShardWriter
from sandbox.sealing.storage import Store
from sandbox.sealing.version import Content, Hands, Terms, VersionWriter


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
    folder: Store,
    hands: Hands,
    *,
    shard_bytes: int = SHARD_BYTES,
) -> Sealing:
    """Add ``records`` to ``dataset`` as its next version, or leave everything as it was; see :class:`Sealer`."""
    sealer = Sealer(dataset, folder, hands, shard_bytes)
    try:
        for record in records:
            sealer.add(record)
    except Exception:
        sealer.discard()
        raise
    return sealer.finish(terms)


class Sealer:
    """Adds records to a dataset (new when it has no head) one by one; ``finish`` makes them its next version.

    Raises:
        Usage: no record, or one that is there already.
        SubjectErased: a record of somebody who was erased from this dataset.
        Conflict: another writer was first; nothing changed.
        Unreachable: storage or Vault failed; nothing changed.
        SealBroken: the version before is not what was signed.
    """

    def __init__(self, dataset: str, folder: Store, hands: Hands, shard_bytes: int = SHARD_BYTES) -> None:
        self._dataset = check_id("dataset", dataset)
        self._keys = hands.keys
        self._before = open_previous(folder, dataset, hands.head, hands.keys, hands.trusted)
        self._shards = ShardWriter(folder, shard_bytes)
        self._version = VersionWriter(dataset, folder, hands, self._before, self._shards)
        self._ciphers: dict[str, AESGCM] = {}
        self._wraps = {subject: list(wraps) for subject, wraps in self._before.wraps}
        self._rows: list[IndexRow] = []
        self._known: set[str] = set()
        self._plain_bytes = 0

    def discard(self) -> None:
        """Take back everything that was written: no head names it."""
        self._version.discard()

    def finish(self, terms: Terms) -> Sealing:
        """Write the version and move the head."""
        before, added = self._before, len(self._rows)
        try:
            if not added:
                raise Usage("there is nothing to seal", code="seal.empty")
            shards = self._shards.close()
        except Exception:
            self.discard()
            raise
        rows = before.rows.extended(self._rows)
        content = Content((*before.shards, *shards), rows, self._wraps, before.tombstones)
        manifest, digest = self._version.enter(content, terms, before.min_version)
        return Sealing(manifest, digest, added, self._plain_bytes, sum(shard.size for shard in shards))

    def add(self, record: Record) -> None:
        """Encrypt one record under its subject's data key and append it to a shard."""
        check_id("record", record.record)
        check_id("subject", record.subject)
        if not index_.LANGUAGE.fullmatch(record.language):
            raise Usage(f"record {record.record} has no language tag", mend="write it as en or pt-BR")
        if record.record in self._known or self._before.rows.find(record.record) is not None:
            raise Usage(f"record {record.record} is in {self._dataset} already", code="seal.record_exists")
        if not record.samples > 0 < record.sample_rate:
            raise Usage(f"record {record.record} has no audio")
        sealed = seal_record(record, self._dataset, 1, self._cipher(record.subject))
        if len(sealed) > MAX_SEALED_BYTES:
            raise Usage(f"record {record.record} is larger than {MAX_SEALED_BYTES >> 20} MiB")
        shard, offset = self._shards.add(record.record, sealed)
        key = len(self._wraps[record.subject]) - 1
        self._rows.append(row_of(record, sealed, len(self._before.shards) + shard, offset, key))
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
            self._keys.create_subject_key(self._dataset, subject)
            wrapped = self._keys.wrap_data_key(self._dataset, subject, key)
            self._wraps.setdefault(subject, []).append(wrapped)
            self._ciphers[subject] = cipher(key)
        return self._ciphers[subject]


def row_of(record: Record, sealed: bytes, shard: int, offset: int, key: int, revision: int = 1) -> IndexRow:
    """What the index says of a record that was just sealed."""
    return IndexRow(
        record=record.record,
        subject=record.subject,
        revision=revision,
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
