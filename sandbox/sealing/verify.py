"""Every byte of a version against what was signed: offline, without any key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sandbox.errors import SealBroken
from sandbox.records import Shard
from sandbox.sealing.manifest import OpenedManifest, shard_name
from sandbox.sealing.reader import check_shards, read_pinned
from sandbox.sealing.storage import Source

_PIECE = 4 << 20


@dataclass(frozen=True)
class Verified:
    """What was looked at: ``shards`` files, ``bytes`` of them in all."""

    shards: int
    bytes: int


def verify_version(
    source: Source, opened: OpenedManifest, progress: Callable[[int], None] | None = None
) -> Verified:
    """Hash keys, index and shards; ``progress`` is told the bytes done.

    Raises:
        SealBroken: the first object that is missing or differs.
    """
    manifest = opened.manifest
    read_pinned(source, manifest)
    check_shards(source, manifest)
    total = 0
    for shard in manifest.shards:
        for done in hashed(source, shard):
            if progress is not None:
                progress(total + done)
        total += shard.size
    return Verified(len(manifest.shards), total)


def hashed(source: Source, shard: Shard) -> Iterator[int]:
    """Hash one shard, telling the bytes done. Raises SealBroken at its end when it is not what was signed."""
    digest = hashlib.sha256()
    for offset in range(0, shard.size, _PIECE):
        piece = source.read(shard_name(shard.sha256), offset, min(_PIECE, shard.size - offset))
        digest.update(piece)
        yield offset + len(piece)
    if digest.hexdigest() != shard.sha256:
        raise SealBroken(f"shard {shard.sha256[:12]} is not what was signed", code="seal.shard_differs")
