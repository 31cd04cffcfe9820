"""A correction: one record is replaced by a whole new one under the same id, revision + 1, and a data key of its own.

Nothing of the old record is read: the custodian may open no voice. Its bytes stay in their shard until a compaction,
but no version from here on names them, and put back they are refused.
"""

from __future__ import annotations

import numpy as np

from sandbox.errors import NotFound, Usage
from sandbox.records import IndexRow
from sandbox.sealing.previous import Previous, open_standing
from sandbox.sealing.records import MAX_SEALED_BYTES, Record, cipher, draw_key, seal_record
from sandbox.sealing.shards import ShardWriter
from sandbox.sealing.storage import Store
from sandbox.sealing.version import Content, Hands, Terms, VersionWriter, in_use
from sandbox.sealing.writer import Sealing, row_of


def find_record(before: Previous, dataset: str, record: str) -> IndexRow:
    """Raises NotFound when the dataset has no such record."""
    number = before.rows.find(record)
    if number is None:
        raise NotFound(
            f"{dataset} holds no record {record}",
            code="record.unknown",
            mend=f"sandbox data records {dataset}",
        )
    return before.rows[number]


class Corrector:
    """Opens the version before; ``row`` is what its index says of the record. ``replace`` writes the next version."""

    def __init__(self, dataset: str, record: str, folder: Store, hands: Hands) -> None:
        self._dataset, self._folder, self._hands = dataset, folder, hands
        self._before, self.manifest = open_standing(folder, dataset, hands.head, hands.keys, hands.trusted)
        self.row = find_record(self._before, dataset, record)

    def replace(self, record: Record, terms: Terms) -> Sealing:
        """``record`` must be of the same id and subject: a voice never changes hands.

        Raises:
            Usage: another id, subject or language, or too large.
            Conflict: another writer was first; nothing changed.
        """
        old, before = self.row, self._before
        if (record.record, record.subject, record.language) != (old.record, old.subject, old.language):
            raise Usage("a correction keeps record, subject and language", code="correction.foreign")
        key, subject, wraps = draw_key(), record.subject, dict(before.wraps)
        sealed = seal_record(record, self._dataset, old.revision + 1, cipher(key))
        if len(sealed) > MAX_SEALED_BYTES:
            raise Usage(f"record {record.record} is larger than {MAX_SEALED_BYTES >> 20} MiB")
        wraps[subject] = (*wraps[subject], self._hands.keys.wrap_data_key(self._dataset, subject, key))
        shards = ShardWriter(self._folder)
        version = VersionWriter(self._dataset, self._folder, self._hands, before, shards)
        try:
            _, offset = shards.add(record.record, sealed)
            made = shards.close()
        except Exception:
            version.discard()
            raise
        place = (len(before.shards), offset, len(wraps[subject]) - 1)
        others = before.rows.where(np.arange(len(before.rows)) != before.rows.find(record.record))
        rows = others.extended([row_of(record, sealed, *place, revision=old.revision + 1)])
        kept, rows = in_use((*before.shards, *made), rows)
        manifest, digest = version.enter(Content(kept, rows, wraps, before.tombstones), terms)
        plain = len(record.flac) + len(record.text.encode())
        return Sealing(manifest, digest, 1, plain, sum(shard.size for shard in made))
