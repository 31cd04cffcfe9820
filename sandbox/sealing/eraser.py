"""The written side of an erasure: a next version without the subject, with a tombstone, below which nothing opens.

The subject's key is destroyed elsewhere and before; this takes the rows and wraps out. The ciphertext stays in its
immutable shards, unreadable by anybody, until a compaction.
"""

from __future__ import annotations

from dataclasses import replace

from sandbox.errors import NotFound
from sandbox.sealing.head import DatasetHead
from sandbox.sealing.previous import open_previous
from sandbox.sealing.storage import Folder
from sandbox.sealing.version import Content, Hands, Terms, VersionWriter
from sandbox.sealing.writer import Sealing


def subject_wraps(folder: Folder, dataset: str, subject: str, hands: Hands) -> tuple[str, ...]:
    """The subject's wrapped data keys in the newest version; empty when erased already.

    Raises:
        NotFound: the dataset has no such subject.
    """
    before = open_previous(folder, dataset, hands.head, hands.keys, hands.trusted)
    if subject in before.tombstones:
        return ()
    wraps = dict(before.wraps).get(subject)
    if wraps is None:
        raise NotFound(f"{dataset} holds nothing of {subject}", code="subject.unknown")
    return wraps


def erase_subject(folder: Folder, dataset: str, subject: str, terms: Terms, hands: Hands) -> Sealing | None:
    """Write the tombstone and raise the lowest version that may be opened. None when it stands there already.

    Raises:
        NotFound: the dataset has no such subject.
        Conflict: another writer was first; nothing changed.
    """
    before = open_previous(folder, dataset, hands.head, hands.keys, hands.trusted)
    if subject in before.tombstones:
        return None
    rows = [row for row in before.rows if row.subject != subject]
    if len(rows) == len(before.rows):
        raise NotFound(f"{dataset} holds nothing of {subject}", code="subject.unknown")
    wraps = {name: wraps for name, wraps in before.wraps if name != subject}
    used = sorted({row.shard for row in rows})
    place = {old: new for new, old in enumerate(used)}
    content = Content(
        shards=tuple(before.shards[number] for number in used),
        rows=[replace(row, shard=place[row.shard]) for row in rows],
        wraps=wraps,
        tombstones=(*before.tombstones, subject),
    )
    version = VersionWriter(dataset, folder, hands, before)
    try:
        manifest, digest = version.write(content, terms)
    except Exception:
        version.discard()
        raise
    version.move_head(DatasetHead(manifest.version, digest, manifest.version))
    return Sealing(manifest, digest, 0, 0, 0)
