"""Shards: plain tar files of sealed records, so that a stranger's tool can list and copy them.

The reader never parses a tar header: offset and length come from the signed index.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass

from sandbox.records import Shard
from sandbox.sealing.manifest import shard_name
from sandbox.sealing.storage import Folder, Partial

SHARD_BYTES = 256 << 20
_BLOCK = 512


class _Hashed(io.RawIOBase):
    """Counts and hashes what goes into a partial file."""

    def __init__(self, partial: Partial) -> None:
        super().__init__()
        self._partial = partial
        self.digest = hashlib.sha256()
        self.size = 0

    def tell(self) -> int:
        return self.size

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._partial.write(data)
        self.digest.update(data)
        self.size += len(data)
        return len(data)


@dataclass
class _Open:
    """The shard being written."""

    partial: Partial
    hashed: _Hashed
    tar: tarfile.TarFile


class ShardWriter:
    """Appends sealed records; starts a new shard when one is full. Nothing has its name before it is complete."""

    def __init__(self, folder: Folder, shard_bytes: int = SHARD_BYTES) -> None:
        self._folder = folder
        self._limit = shard_bytes
        self._open: _Open | None = None
        self.shards: list[Shard] = []

    def add(self, record: str, sealed: bytes) -> tuple[int, int]:
        """(number of the shard among those written here, offset of the sealed bytes in it)."""
        if self._open is None:
            self._open = self._begin()
        tar = self._open.tar
        info = tarfile.TarInfo(f"{record}.sealed")
        info.size, info.mode = len(sealed), 0o644
        offset = tar.offset + _BLOCK
        tar.addfile(info, io.BytesIO(sealed))
        place = (len(self.shards), offset)
        if tar.offset >= self._limit:
            self._finish(self._open)
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

    def _begin(self) -> _Open:
        partial = self._folder.partial("shards")
        hashed = _Hashed(partial)
        return _Open(partial, hashed, tarfile.TarFile(fileobj=hashed, mode="w", format=tarfile.USTAR_FORMAT))

    def _finish(self, shard: _Open) -> None:
        shard.tar.close()
        done = Shard(shard.hashed.digest.hexdigest(), shard.hashed.size)
        shard.partial.publish(shard_name(done.sha256))
        self.shards.append(done)
        self._open = None
