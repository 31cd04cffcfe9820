"""The written side of an erasure: a next version without the subject, with a tombstone, below which nothing opens.

The subject's key is destroyed elsewhere and before; this takes the rows and wraps out. The ciphertext stays in its
immutable shards, unreadable by anybody, until a compaction.
"""

from __future__ import annotations

from collections.abc import Collection

from sandbox.errors import NotFound
from sandbox.sealing.manifest import open_at_head
from sandbox.sealing.previous import open_previous
from sandbox.sealing.reader import read_wraps
from sandbox.sealing.storage import Store
from sandbox.sealing.version import Content, Hands, Terms, VersionWriter, in_use
from sandbox.sealing.writer import Sealing


def subject_wraps(folder: Store, dataset: str, subject: str, hands: Hands) -> tuple[str, ...]:
    """The subject's wrapped data keys in the newest version; empty when erased already.

    Raises:
        NotFound: the dataset has no such subject.
    """
    seen = hands.head.read()
    if seen.head is None:
        raise NotFound(f"there is no dataset {dataset}", code="dataset.unknown")
    manifest = open_at_head(folder, dataset, seen.head, hands.trusted).manifest
    if subject in manifest.tombstones:
        return ()
    wraps = read_wraps(folder, manifest).get(subject)
    if wraps is None:
        raise NotFound(f"{dataset} holds nothing of {subject}", code="subject.unknown")
    return tuple(wraps)


def erase_subject(folder: Store, dataset: str, subject: str, terms: Terms, hands: Hands) -> Sealing | None:
    """:func:`erase_subjects`, of one."""
    return erase_subjects(folder, dataset, [subject], terms, hands)


def erase_subjects(
    folder: Store, dataset: str, subjects: Collection[str], terms: Terms, hands: Hands
) -> Sealing | None:
    """One version that has every tombstone, and the lowest version that may be opened raised to it.

    None when all of them stand there already.

    Raises:
        NotFound: the dataset holds nothing of one of them.
        Conflict: another writer was first; nothing changed.
    """
    before = open_previous(folder, dataset, hands.head, hands.keys, hands.trusted)
    going = sorted(set(subjects) - set(before.tombstones))
    if not going:
        return None
    wraps = dict(before.wraps)
    for subject in going:
        if wraps.pop(subject, None) is None:
            raise NotFound(f"{dataset} holds nothing of {subject}", code="subject.unknown")
    rows = before.rows.where(~before.rows.of_subjects(going))
    shards, rows = in_use(before.shards, rows)
    content = Content(shards, rows, wraps, (*before.tombstones, *going))
    manifest, digest = VersionWriter(dataset, folder, hands, before).enter(content, terms)
    return Sealing(manifest, digest, 0, 0, 0)
