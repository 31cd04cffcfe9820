"""Verified objects on this machine, each named by its content; what has come of one is kept for the next attempt."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import SealBroken
from sandbox.sealing.index import MAX_INDEX_BYTES
from sandbox.sealing.manifest import OpenedManifest, index_name, keys_name, manifest_name, shard_name
from sandbox.sealing.reader import MAX_KEYS_BYTES
from sandbox.sealing.storage import FILE_MODE, Source

_PIECE = 4 << 20
_LOOK_S = 0.5  # how often who waits for another looks up
_OBJECT_MODE = FILE_MODE & 0o444


@dataclass(frozen=True)
class Wanted:
    """An object as the signed manifest lists it, and its size."""

    name: str
    sha256: str
    size: int


class Objects:
    """``objects/<sha256>`` and ``partial/<sha256>`` below ``root``. ``lock`` is held while names change."""

    def __init__(self, root: Path, lock: threading.RLock) -> None:
        self._whole, self._partial, self._lock = root / "objects", root / "partial", lock
        self._coming: dict[str, threading.Lock] = {}
        for folder in (self._whole, self._partial):
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        return self._whole / sha256

    def here(self, one: Wanted) -> bool:
        """One of another size was damaged here, and is fetched again."""
        path = self.path(one.sha256)
        with self._lock:
            if path.exists() and path.stat().st_size != one.size:
                path.unlink()
            return path.exists()

    def bytes(self) -> int:
        """What lies here, whole or not."""
        with self._lock:
            return sum(
                path.stat().st_size for folder in (self._whole, self._partial) for path in folder.iterdir()
            )

    def lacking(self, wanted: Collection[Wanted]) -> int:
        """How many bytes of these have still to come."""
        with self._lock:
            coming = {one.sha256: one.size for one in wanted if not self.here(one)}
            came = sum(path.stat().st_size for path in self._partial.iterdir() if path.name in coming)
            return sum(coming.values()) - came

    def fetch(
        self, source: Source, one: Wanted, waiting: Callable[[], object] = lambda: None
    ) -> Iterator[int]:
        """Bring one object, unless it is here; how far it is, now and then. Two may want one at the same time.

        Raises:
            SealBroken: it is missing, or is not what was signed; nothing of it is kept.
        """
        with self.alone(one.sha256, waiting):
            if not self.here(one):
                yield from self._download(source, one)

    def collect(self, wanted: Collection[str]) -> None:
        """Remove what no view has a link to and nobody waits for."""
        with self._lock:
            for folder in (self._whole, self._partial):
                for path in folder.iterdir():
                    if path.stat().st_nlink == 1 and path.name not in wanted:
                        path.unlink()

    @contextmanager
    def alone(self, what: str, waiting: Callable[[], object]) -> Iterator[None]:
        """One at a time brings an object or a version; ``waiting`` is called now and then, and may raise to give up."""
        with self._lock:
            lock = self._coming.setdefault(what, threading.Lock())
        while not lock.acquire(timeout=_LOOK_S):
            waiting()
        try:
            yield
        finally:
            lock.release()

    def _download(self, source: Source, one: Wanted) -> Iterator[int]:
        """What came before is hashed and kept, the rest is read; only then it has its name."""
        if source.size(one.name) != one.size:
            raise SealBroken(f"{one.name} has another size than was signed", code="seal.shard_differs")
        path, digest = self._partial / one.sha256, hashlib.sha256()
        with suppress(FileNotFoundError):
            path.chmod(0o600)  # a crash between mode and name left it read-only
        with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+b") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
            here = file.tell()
            while here < one.size:
                piece = source.read(one.name, here, min(_PIECE, one.size - here))
                file.write(piece)
                digest.update(piece)
                here += len(piece)
                yield here
            if here != one.size or digest.hexdigest() != one.sha256:
                with self._lock:
                    path.unlink()
                raise SealBroken(f"{one.name} is not what was signed", code="seal.object_differs")
            file.flush()
            os.fchmod(file.fileno(), _OBJECT_MODE)
            os.fsync(file.fileno())
        with self._lock:
            path.rename(self.path(one.sha256))


def wanted_for(source: Source, opened: OpenedManifest) -> list[Wanted]:
    """Every object of a version, with its size: a shard's stands in the manifest, the others' have a limit."""
    manifest = opened.manifest
    small = (
        (keys_name(manifest.version), manifest.keys_sha256, MAX_KEYS_BYTES),
        (index_name(manifest.version), manifest.index_sha256, MAX_INDEX_BYTES),
    )
    name = manifest_name(manifest.version)
    return [
        Wanted(name, opened.digest, source.size(name)),  # it was read before
        *(Wanted(name, sha256, _bounded(source, name, limit)) for name, sha256, limit in small),
        *(Wanted(shard_name(shard.sha256), shard.sha256, shard.size) for shard in manifest.shards),
    ]


def _bounded(source: Source, name: str, limit: int) -> int:
    size = source.size(name)
    if size > limit:
        raise SealBroken(f"{name} has {size} bytes, more than the {limit} that its kind may have")
    return size
