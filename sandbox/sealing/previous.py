"""The version that a sealing builds upon: verified like any other reader would, from the head on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sandbox.errors import NotFound, SealBroken
from sandbox.records import INDEX_KEY, Manifest, Shard
from sandbox.sealing.head import Head
from sandbox.sealing.keyring import KeyMaker
from sandbox.sealing.manifest import MAX_VERSION, open_at_head
from sandbox.sealing.reader import decrypt_index, read_pinned, read_rows
from sandbox.sealing.records import cipher
from sandbox.sealing.rows import NO_ROWS, Rows
from sandbox.sealing.storage import Store
from sandbox.statements import PublicKey


@dataclass(frozen=True)
class Previous:
    """What a next version takes over; all empty, and ``version`` 0, for a new dataset."""

    cas: int
    version: int = 0
    min_version: int = 1
    digest: str | None = None
    manifest: Manifest | None = None
    shards: tuple[Shard, ...] = ()
    tombstones: tuple[str, ...] = ()
    rows: Rows = field(default=NO_ROWS, repr=False)
    wraps: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def next_version(self, folder: Store) -> int:
        """One above everything that lies there, so that no writer ever touches what another left.

        Raises:
            SealBroken: that is above what any reader finds.
        """
        found = [self.version]
        for kind in ("index", "keys", "manifests"):
            numbers = (name.partition(".")[0] for name in folder.names(kind))
            found += [int(number) for number in numbers if number.isdecimal()]
        if max(found) >= MAX_VERSION:
            raise SealBroken(
                f"an object of version {max(found)} lies there, above the {MAX_VERSION} that there may be",
                code="seal.object_foreign",
                mend="find out who put it there, and remove it",
            )
        return max(found) + 1


def open_standing(
    folder: Store, dataset: str, head: Head, keys: KeyMaker, trusted: Sequence[PublicKey]
) -> tuple[Previous, Manifest]:
    """As :func:`open_previous`, and its manifest. Raises NotFound where nothing was sealed yet."""
    before = open_previous(folder, dataset, head, keys, trusted)
    if before.manifest is None:
        raise NotFound(f"there is no dataset {dataset}", code="dataset.unknown")
    return before, before.manifest


def open_previous(
    folder: Store, dataset: str, head: Head, keys: KeyMaker, trusted: Sequence[PublicKey]
) -> Previous:
    """Raises SealBroken, RollbackDetected or StatementError when the version before is not what was signed."""
    seen = head.read()
    if seen.head is None:
        return Previous(seen.cas)
    opened = open_at_head(folder, dataset, seen.head, trusted)
    manifest = opened.manifest
    wraps, sealed_index = read_pinned(folder, manifest)
    index_key = cipher(keys.unwrap_index_key(dataset, wraps[INDEX_KEY][-1]))
    plain_index = decrypt_index(sealed_index, manifest, index_key)
    del sealed_index
    rows = read_rows(plain_index, manifest, wraps)
    return Previous(
        cas=seen.cas,
        version=manifest.version,
        min_version=seen.head.min_version,
        digest=opened.digest,
        manifest=manifest,
        shards=manifest.shards,
        tombstones=manifest.tombstones,
        rows=rows,
        wraps=tuple((subject, tuple(wraps[subject])) for subject in manifest.subjects),
    )
