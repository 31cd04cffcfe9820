"""Opening a sealed dataset. Nothing unsigned is parsed, nothing is skipped silently; the order of checks:

1. manifest's digest equals the grant's (or the head's)
2. DSSE payload type             3. signature by a key of the image's trust anchors
4. dataset, version, format      5. object names
6. digests of keys and index     7. every shard exists with its size
8. every granted subject's data keys are unwrapped, and only now may a run begin
9. each record: bounds, length, tag pin, AEAD
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox.errors import SealBroken, SealError, SubjectErased
from sandbox.records import INDEX_KEY, IndexRow, Manifest, index_aad
from sandbox.sealing import index as index_
from sandbox.sealing.keyring import Keyring
from sandbox.sealing.manifest import OpenedManifest, index_name, keys_name, open_granted, shard_name
from sandbox.sealing.records import Record, cipher, decrypt, open_record
from sandbox.sealing.rows import Rows
from sandbox.sealing.storage import Folder, Source, read_whole
from sandbox.statements import PublicKey, sha256

MAX_KEYS_BYTES = 256 << 20
AHEAD = 8
AHEAD_BYTES = 64 << 20
_THREADS = 2


def open_version(
    source: Source, opened: OpenedManifest, keyring: Keyring, subjects: Sequence[str] | None = None
) -> SealedDataset:
    """As :meth:`SealedDataset.open`, from a manifest already verified."""
    manifest = opened.manifest
    chosen = _chosen(manifest, subjects)
    wraps, sealed_index = read_pinned(source, manifest)
    check_shards(source, manifest)
    opener = _Opener(keyring, manifest)
    index_key = opener.cipher(INDEX_KEY, wraps[INDEX_KEY][-1])
    plain_index = decrypt_index(sealed_index, manifest, index_key)
    del sealed_index  # it may be large, and so may its rows
    rows = read_rows(plain_index, manifest, wraps)
    keys = {subject: [opener.cipher(subject, wrapped) for wrapped in wraps[subject]] for subject in chosen}
    return SealedDataset(source, opened, rows.where(rows.of_subjects(keys)), keys)


def count_data_keys(source: Source, manifest: Manifest, subjects: Sequence[str]) -> int:
    """How many data keys of ``subjects`` opening unwraps: one for each sealing that a subject was in, at least one.

    The index's key comes on top. What a run's credential must be good for.
    """
    wraps = read_wraps(source, manifest)
    return sum(len(wraps[subject]) for subject in subjects)


def read_pinned(source: Source, manifest: Manifest) -> tuple[dict[str, list[str]], bytes]:
    """The wrapped keys and the sealed index, once their digests are those that were signed."""
    wraps = read_wraps(source, manifest)
    sealed_index = read_whole(source, index_name(manifest.version), index_.MAX_INDEX_BYTES)
    if sha256(sealed_index) != manifest.index_sha256:
        raise SealBroken("the index is not the one that was signed", code="seal.index_differs")
    return wraps, sealed_index


def read_wraps(source: Source, manifest: Manifest) -> dict[str, list[str]]:
    """The wrapped keys alone, likewise."""
    keys = read_whole(source, keys_name(manifest.version), MAX_KEYS_BYTES)
    if sha256(keys) != manifest.keys_sha256:
        raise SealBroken("the keys file is not the one that was signed", code="seal.keys_differ")
    return _wraps(keys, manifest)


def check_shards(source: Source, manifest: Manifest) -> None:
    for shard in manifest.shards:
        if source.size(shard_name(shard.sha256)) != shard.size:
            raise SealBroken(f"shard {shard.sha256[:12]} has another size", code="seal.shard_differs")


def decrypt_index(sealed: bytes, manifest: Manifest, key: AESGCM) -> bytes:
    return decrypt(key, sealed, index_aad(manifest.dataset, manifest.version), "the index")


def read_rows(plain: bytes, manifest: Manifest, wraps: Mapping[str, list[str]]) -> Rows:
    """The rows of a decrypted index, which they keep in memory. Raises SealBroken."""
    rows = index_.unpack(plain)
    index_.check(rows, manifest, wraps)
    return rows


def _chosen(manifest: Manifest, subjects: Sequence[str] | None) -> list[str]:
    chosen = list(manifest.subjects if subjects is None else dict.fromkeys(subjects))
    if not chosen:
        raise SealBroken("a dataset is opened for nobody", code="seal.no_subjects")
    for subject in chosen:
        if subject in manifest.tombstones:
            raise SubjectErased(f"{subject} was erased from {manifest.dataset}")
        if subject not in manifest.subjects:
            where = f"{manifest.dataset}@{manifest.version}"
            raise SealBroken(f"{subject} is not in {where}", code="seal.subject_unknown")
    return chosen


def _wraps(data: bytes, manifest: Manifest) -> dict[str, list[str]]:
    try:
        wraps = json.loads(data)
        if set(wraps) != {*manifest.subjects, INDEX_KEY}:
            raise ValueError
        for listed in wraps.values():
            if not isinstance(listed, list) or not listed or any(type(item) is not str for item in listed):
                raise ValueError
    except (ValueError, TypeError):
        raise SealBroken("the keys file is signed, but not a keys file", code="seal.keys_invalid") from None
    return dict(wraps)


@dataclass(frozen=True)
class _Opener:
    keyring: Keyring
    manifest: Manifest

    def cipher(self, subject: str, wrapped: str) -> AESGCM:
        try:
            return cipher(self.keyring.unwrap_data_key(self.manifest.dataset, subject, wrapped))
        except SubjectErased:
            # The manifest says nobody was erased, so this is no erasure but a loss: stop, never skip.
            raise SealError(
                f"the key of {subject} is gone, but {self.manifest.dataset} has no tombstone for it",
                code="seal.key_missing",
            ) from None


class SealedDataset:
    """A dataset whose checks have passed. Reads one record at a time; holds ciphers, never plaintext."""

    def __init__(
        self,
        source: Source,
        opened: OpenedManifest,
        rows: Rows,
        keys: Mapping[str, Sequence[AESGCM]],
    ) -> None:
        self._source = source
        self._keys = keys
        self.manifest = opened.manifest
        self.digest = opened.digest
        self.rows = rows

    @classmethod
    def open(
        cls,
        place: str | os.PathLike[str] | Source,
        *,
        dataset: str,
        manifest_digest: str,
        keys: Sequence[PublicKey],
        keyring: Keyring,
        subjects: Sequence[str] | None = None,
    ) -> SealedDataset:
        """Check everything that can be checked before step 0, and hold the keys of ``subjects`` (all, when None).

        ``keys`` are the custodian's public keys; ``place`` is a folder or another :class:`Source`.

        Raises:
            SealBroken, StatementError: something is not what was signed.
            SubjectErased: a granted subject's key was destroyed.
            KeyBarred: a granted subject's key may not be used for this purpose.
        """
        source = Folder(place) if isinstance(place, str | os.PathLike) else place
        return open_version(source, open_granted(source, dataset, manifest_digest, keys), keyring, subjects)

    def over(self, source: Source) -> SealedDataset:
        """The same dataset, read by way of ``source``, which holds the same objects: one that reads ahead, say."""
        return SealedDataset(source, OpenedManifest(self.manifest, self.digest), self.rows, self._keys)

    @property
    def subjects(self) -> tuple[str, ...]:
        return tuple(self._keys)

    def read(self, record: str) -> Record:
        """Decrypt one record in memory. Safe from any thread.

        Raises:
            SealBroken: unknown record, or its bytes are not what was signed.
        """
        return self._open(self._row(record))

    def stream(
        self, records: Sequence[str] | None = None, ahead: int = AHEAD, ahead_bytes: int = AHEAD_BYTES
    ) -> Iterator[Record]:
        """Records in the order asked (the index's, when None), read and decrypted ``ahead`` of the caller.

        Those that wait have at most ``ahead_bytes`` in all, or there is only one: memory stays bounded with long ones.
        """
        names = self.rows.records() if records is None else iter(records)
        waiting: deque[tuple[Future[Record], int]] = deque()
        held = 0  # sealed bytes of those that wait
        with ThreadPoolExecutor(_THREADS, "unseal") as pool:
            try:
                for name in names:
                    row = self._row(name)
                    while waiting and (len(waiting) > ahead or held + row.length > ahead_bytes):
                        future, length = waiting.popleft()
                        held -= length
                        yield future.result()
                    waiting.append((pool.submit(self._open, row), row.length))
                    held += row.length
                while waiting:
                    yield waiting.popleft()[0].result()
            finally:
                for future, _ in waiting:
                    future.cancel()

    def _row(self, record: str) -> IndexRow:
        number = self.rows.find(record)
        if number is None:
            raise SealBroken("that record is not among those opened", code="seal.record_unknown")
        return self.rows[number]

    def _open(self, row: IndexRow) -> Record:
        shard = self.manifest.shards[row.shard]
        sealed = self._source.read(shard_name(shard.sha256), row.offset, row.length)
        return open_record(sealed, row, self.manifest.dataset, self._keys[row.subject][row.key])
