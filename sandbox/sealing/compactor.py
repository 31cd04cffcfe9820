"""Compaction: the living records of a shard that holds much dead ciphertext are copied to new shards, undecrypted.

Dead is what no row names: erased, corrected. The old shards stay until :mod:`sandbox.sealing.sweeper` removes them,
for runs that were granted an older version still read them. A shard is hashed before anything of it is copied: damage
is named here, and never signed anew.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

from sandbox.errors import SealBroken
from sandbox.records import TAG_BYTES, Manifest, Shard
from sandbox.sealing.manifest import shard_name
from sandbox.sealing.previous import Previous, open_standing
from sandbox.sealing.progress import Step
from sandbox.sealing.rows import Column, Rows
from sandbox.sealing.shards import BLOCK, END_BYTES, SHARD_BYTES, ShardWriter
from sandbox.sealing.storage import Store
from sandbox.sealing.verify import hashed
from sandbox.sealing.version import Content, Hands, Renewed, VersionWriter, in_use


@dataclass(frozen=True)
class Compacted:
    """The new version and its digest; shards and their bytes before and after, of those that were rewritten."""

    manifest: Manifest
    digest: str
    shards_before: int
    shards_after: int
    bytes_before: int
    bytes_after: int


def dead_bytes(shards: Sequence[Shard], rows: Rows) -> Column:
    """``[shards]``: bytes of each that no row's member takes. Padding of another tar writer counts as dead."""
    length = rows.columns["length"].astype(np.int64)
    members = BLOCK + -(-length // BLOCK) * BLOCK
    living = np.bincount(rows.columns["shard"], members, minlength=len(shards)).astype(np.int64)
    dead: Column = np.array([shard.size for shard in shards], np.int64) - END_BYTES - living
    return dead.clip(0)


def compact(
    folder: Store,
    dataset: str,
    terms: Renewed,
    hands: Hands,
    above: float,
    shard_bytes: int = SHARD_BYTES,
) -> Generator[Step, None, Compacted | None]:
    """Rewrite the shards with more than ``above`` % dead bytes; None when there is none. Yields bytes copied, of all.

    Raises:
        NotFound: no such dataset.
        SealBroken: a shard is not what was signed; nothing was changed.
        Conflict: another writer was first; nothing was changed.
    """
    before, standing = open_standing(folder, dataset, hands.head, hands.keys, hands.trusted)
    sizes = [shard.size for shard in before.shards]
    full = 100 * dead_bytes(before.shards, before.rows) > above * np.array(sizes)
    chosen = [number for number in range(len(sizes)) if full[number]]
    if not chosen:
        return None
    writer = ShardWriter(folder, shard_bytes)
    version = VersionWriter(dataset, folder, hands, before, writer)
    try:
        rows = yield from _copied(folder, before, chosen, writer)
        made = writer.close()
    except (Exception, GeneratorExit):
        version.discard()
        raise
    shards, rows = in_use((*before.shards, *made), rows)
    content = Content(shards, rows, dict(before.wraps), before.tombstones)
    manifest, digest = version.enter(content, terms(standing), before.min_version)
    return Compacted(
        manifest=manifest,
        digest=digest,
        shards_before=len(chosen),
        shards_after=len(made),
        bytes_before=sum(sizes[number] for number in chosen),
        bytes_after=sum(shard.size for shard in made),
    )


def _copied(
    folder: Store, before: Previous, chosen: Sequence[int], writer: ShardWriter
) -> Generator[Step, None, Rows]:
    """The rows, with the places where the ciphertext of ``chosen`` shards lies now."""
    columns = before.rows.columns
    shard, offset = (columns[name].astype(np.int64) for name in ("shard", "offset"))
    done, total = 0, sum(before.shards[number].size for number in chosen)
    for old in chosen:
        for checked in hashed(folder, before.shards[old]):
            yield Step(done + checked // 2, total)
        living = np.flatnonzero(columns["shard"] == old)
        for number in living[np.argsort(columns["offset"][living], kind="stable")]:
            row = before.rows[int(number)]
            sealed = folder.read(shard_name(before.shards[old].sha256), row.offset, row.length)
            if sealed[-TAG_BYTES:] != row.tag:
                raise SealBroken(f"record {row.record} has another tag than the index pins")
            place, offset[number] = writer.add(row.record, sealed)
            shard[number] = len(before.shards) + place
        done += before.shards[old].size
    return before.rows.changed(shard=shard, offset=offset)
