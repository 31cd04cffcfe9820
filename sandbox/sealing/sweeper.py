"""Removal of what no living version needs: index, keys and shards of versions that were replaced long enough ago.

A run may hold the version that was the newest when it was granted, and reads its shards until it ends. So what a
version needs is kept until ``grace`` after it was replaced; the longest a run may last is the least that is safe. First
the head says that nothing below may be opened any more, then objects go: shards first, the index last, so that what a
crash left is found again. Manifests stay: they are the history. Shards that a crash left without a manifest stay too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sandbox.errors import Conflict, NotFound, SealBroken
from sandbox.records import Manifest
from sandbox.sealing.head import HeadSeen
from sandbox.sealing.history import Replaced, replaced_versions
from sandbox.sealing.manifest import index_name, objects, open_at_head
from sandbox.sealing.storage import Store
from sandbox.sealing.version import Hands


@dataclass(frozen=True)
class Swept:
    """Objects removed and their bytes; what waits, and until when (None: nothing does)."""

    objects: int
    bytes: int
    waiting_bytes: int
    waiting_until: datetime | None


def sweep(folder: Store, dataset: str, hands: Hands, now: datetime, grace: timedelta) -> Swept:
    """Remove, and tell what is left. May repeat.

    Raises:
        NotFound: no such dataset.
        Conflict: another writer was first; nothing was removed.
    """
    seen = hands.head.read()
    if seen.head is None:
        raise NotFound(f"there is no dataset {dataset}", code="dataset.unknown")
    newest = open_at_head(folder, dataset, seen.head, hands.trusted)
    lying = set(folder.names("index"))
    old = [
        one
        for one in replaced_versions(folder, newest, hands.trusted)
        if index_name(one.manifest.version).rpartition("/")[2] in lying
    ]
    gone = [one for one in old if one.at + grace <= now]
    waiting = [one for one in old if one.at + grace > now]
    needed = {name for one in (newest.manifest, *_manifests(waiting)) for name, _ in objects(one)}
    if gone:
        _raise_lowest(dataset, hands, seen, max(one.manifest.version for one in gone) + 1)
    removed = [_remove(folder, name) for name in _unneeded(_manifests(gone), needed)]
    kept = {name for name, _ in objects(newest.manifest)}
    return Swept(
        objects=sum(size is not None for size in removed),
        bytes=sum(size or 0 for size in removed),
        waiting_bytes=sum(_size(folder, name) or 0 for name in _unneeded(_manifests(waiting), kept)),
        waiting_until=max((one.at + grace for one in waiting), default=None),
    )


def _manifests(versions: Iterable[Replaced]) -> list[Manifest]:
    return [one.manifest for one in versions]


def _unneeded(manifests: Iterable[Manifest], needed: set[str]) -> list[str]:
    """Names of objects, each once: shards first, then keys, an index last of its version."""
    found = (name for one in manifests for name, _ in reversed(objects(one)))
    return [name for name in dict.fromkeys(found) if name not in needed]


def _raise_lowest(dataset: str, hands: Hands, seen: HeadSeen, lowest: int) -> None:
    if seen.head is None or seen.head.min_version >= lowest:
        return
    try:
        hands.head.move(replace(seen.head, min_version=lowest), seen.cas)
    except Conflict:
        raise Conflict(
            f"another writer changed {dataset} first; nothing was removed",
            code="seal.lost_race",
            mend="try again",
        ) from None


def _remove(folder: Store, name: str) -> int | None:
    """The bytes that went; None when they were gone already."""
    size = _size(folder, name)
    folder.discard(name)
    return size


def _size(folder: Store, name: str) -> int | None:
    try:
        return folder.size(name)
    except SealBroken:
        return None
