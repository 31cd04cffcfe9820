"""Shards: plain tar files of sealed records, so that a stranger's tool can list and copy them.

The reader never parses a tar header: offset and length come from the signed index.
"""

from __future__ import annotations

import hashlib
import secrets
import tarfile

from sandbox.records import Shard
from sandbox.sealing.manifest import shard_name
from sandbox.sealing.storage import Pending, Store

SHARD_BYTES = 256 << 20
BLOCK = 512
END_BYTES = 2 * BLOCK  # two empty blocks end a tar


class _Open:
    """The shard being written. Its mark stands in every member's owner name: no two shards ever have the same bytes, so
    a writer that takes its own back never takes away another's."""

    def __init__(self, partial: Pending) -> None:
        self.partial = partial
        self.digest = hashlib.sha256()
        self.size = 0
        self.mark = secrets.token_hex(15)

    def write(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.partial.write(piece)
            self.digest.update(piece)
            self.size += len(piece)

    def header(self, record: str, length: int) -> bytes:
        info = tarfile.TarInfo(f"{record}.sealed")
        info.size, info.mode, info.uname = length, 0o644, self.mark
        return info.tobuf(tarfile.USTAR_FORMAT)


class ShardWriter:
    """Appends sealed records; starts a new shard when one is full. Nothing has its name before it is complete."""

    def __init__(self, folder: Store, shard_bytes: int = SHARD_BYTES) -> None:
        self._folder = folder
        self._limit = shard_bytes
        self._open: _Open | None = None
        self.shards: list[Shard] = []

    def add(self, record: str, sealed: bytes) -> tuple[int, int]:
        """(number of the shard among those written here, offset of the sealed bytes in it)."""
        if self._open is None:
            self._open = _Open(self._folder.partial("shards"))
        shard = self._open
        place = (len(self.shards), shard.size + BLOCK)
        shard.write(shard.header(record, len(sealed)), sealed, bytes(-len(sealed) % BLOCK))
        if shard.size >= self._limit:
            self._finish(shard)
        return place

    def close(self) -> list[Shard]:
        if self._open is not None:
            self._finish(self._open)
        return self.shards

    def discard(self) -> None:
        """Forget the unfinished shard and remove the finished ones: no head names them."""
        if self._open is not None:
            self._open.partial.discard()
            self._open = None
        for shard in self.shards:
            self._folder.discard(shard_name(shard.sha256))

    def _finish(self, shard: _Open) -> None:
        shard.write(bytes(END_BYTES))
        done = Shard(shard.digest.hexdigest(), shard.size)
        shard.partial.publish(shard_name(done.sha256))
        self.shards.append(done)
        self._open = None
