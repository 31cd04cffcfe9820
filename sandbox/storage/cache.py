"""Verified ciphertext on this machine, for containers to mount: a version is brought whole, or not at all.

::

    objects/<sha256>                  an object by its content, read-only; linked into every version that has it
    partial/<sha256>                  as much of one as has come; the next attempt goes on from there
    views/<dataset>/<manifest sha256> a version in the layout of sealed/1, of links into ``objects``: what is mounted

An object has as many links as views name it, and one more: with one left, nobody needs it. A view gets its name when
all that the signed manifest lists is there, with the sizes and digests it lists. One process at a time works here.
"""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sandbox.errors import Unreachable
from sandbox.records import Manifest
from sandbox.sealing.manifest import OpenedManifest, index_name, keys_name, manifest_name, shard_name
from sandbox.sealing.storage import FOLDER_MODE, Source, storage_fault, sync_folder
from sandbox.storage.ahead import ReadAhead
from sandbox.storage.objects import Objects, Wanted, wanted_for

_KINDS = ("index", "keys", "manifests", "shards")

Progress = Callable[[int, int], None]  # bytes here, bytes in all; may raise to give up


def _untold(done: int, total: int) -> None:
    """Nobody asked how far it is."""


@dataclass(frozen=True)
class View:
    """One version that lies here whole."""

    dataset: str
    digest: str  # of its manifest
    version: int  # 0: its files were lost
    path: Path
    used: float  # seconds since the epoch: when a run last asked for it


class Cache:
    """At most ``max_bytes`` below ``root``. ``live`` tells the manifests that unfinished runs were admitted with."""

    def __init__(self, root: Path, max_bytes: int, live: Callable[[], Collection[str]]) -> None:
        self._root, self._max, self._live = root, max_bytes, live
        self._lock = threading.RLock()  # over names and links; never held while bytes come
        self._wanted: dict[str, list[Wanted]] = {}  # manifest -> its objects, while it is being brought
        try:
            self.objects = Objects(root, self._lock)
            (root / "views").mkdir(exist_ok=True)
            for half in [*root.glob("views/*/.*")]:
                shutil.rmtree(half)
        except OSError as fault:
            raise storage_fault(fault) from None

    def view(self, dataset: str, digest: str) -> Path:
        """Where a version lies once it is staged."""
        return self._root / "views" / dataset / digest

    def stage(self, source: Source, opened: OpenedManifest, progress: Progress = _untold) -> Path:
        """Bring a version, or find it here; its folder. Whoever asks while it comes waits for it.

        ``progress`` is called while it waits, too: with nothing of nothing, until it is known.

        The caller's run is in ``live`` already, so nothing is evicted between this and the run's end.

        Raises:
            SealBroken: an object is missing, or is not what was signed.
            Unreachable: the storage does not answer, or there is no room.
        """
        digest = opened.digest
        target = self.view(opened.manifest.dataset, digest)
        try:
            with self.objects.alone(f"version {digest}", lambda: progress(0, 0)):
                with self._lock:
                    if _whole(target, opened.manifest):
                        os.utime(target)
                        return target
                    _remove(target)
                wanted = wanted_for(source, opened)
                try:
                    with self._lock:
                        self._wanted[digest] = wanted
                        self._make_room()
                    self._bring(source, wanted, progress)
                    with self._lock:
                        self._link(target, wanted)
                finally:
                    with self._lock:
                        self._wanted.pop(digest, None)
                return target
        except OSError as fault:
            raise storage_fault(fault) from None

    def views(self) -> list[View]:
        """Every version here, the one used longest ago first."""
        found = []
        with self._lock:
            for path in self._root.glob("views/*/*"):
                if not path.name.startswith("."):
                    named = next(path.glob("manifests/*"), None)  # a power cut may have taken it
                    version = int(named.name.partition(".")[0]) if named else 0
                    found.append(View(path.parent.name, path.name, version, path, path.stat().st_mtime))
        return sorted(found, key=lambda view: view.used)

    def evict(self) -> list[View]:
        """Down to ``max_bytes``: the versions used longest ago, but none that a live run uses; which ones went."""
        with self._lock:
            return self._evict(self._max)

    def purge(self, allowed: Callable[[View], bool]) -> tuple[list[View], list[View]]:
        """Remove every version that is no longer ``allowed`` (erased from, compacted away), and all that no view needs.

        Returns what went, and what a live run still uses: that goes when this is called after the run's end.
        """
        bad = [view for view in self.views() if not allowed(view)]  # which may ask others, and takes its time
        with self._lock:
            used = self._used() if bad else set()
            gone = [view for view in bad if view.digest not in used]
            for view in gone:
                _remove(view.path)
            self._collect()
        return gone, [view for view in bad if view.digest in used]

    def _bring(self, source: Source, wanted: list[Wanted], progress: Progress) -> None:
        total, before = sum(one.size for one in wanted), 0
        with ReadAhead(source) as ahead:
            for one in wanted:
                for here in self.objects.fetch(ahead, one, partial(progress, before, total)):
                    progress(before + here, total)
                before += one.size
                progress(before, total)

    def _link(self, target: Path, wanted: list[Wanted]) -> None:
        half = target.parent / f".{target.name}.{secrets.token_hex(4)}"
        for folder in (target.parent, half, *(half / kind for kind in _KINDS)):
            folder.mkdir(exist_ok=True)
            folder.chmod(FOLDER_MODE)
        for one in wanted:
            os.link(self.objects.path(one.sha256), half / one.name)
        half.rename(target)
        sync_folder(target.parent)

    def _make_room(self) -> None:
        """For everything that is coming, this and what others wait for."""
        needed = self.objects.lacking([one for objects in self._wanted.values() for one in objects])
        self._evict(self._max - needed)
        if self.objects.bytes() + needed > self._max:
            raise Unreachable(
                f"the cache of sealed data has no room for {needed} more bytes beside what live runs use",
                code="cache.full",
                mend="wait for a run to end, or raise cache_max in configs/storage.yaml",
            )

    def _evict(self, most: int) -> list[View]:
        if self.objects.bytes() <= most:
            return []
        self._collect()
        used, gone = self._used(), []
        for view in self.views():
            if self.objects.bytes() <= most:
                break
            if view.digest not in used:
                _remove(view.path)
                self._collect()
                gone.append(view)
        return gone

    def _used(self) -> set[str]:
        return set(self._live()) | set(self._wanted)

    def _collect(self) -> None:
        self.objects.collect({one.sha256 for objects in self._wanted.values() for one in objects})


def _whole(view: Path, manifest: Manifest) -> bool:
    """Whether every file of a staged version still has its size; what is in it the container checks itself."""
    names = (manifest_name(manifest.version), keys_name(manifest.version), index_name(manifest.version))
    sizes = [(view / shard_name(shard.sha256), shard.size) for shard in manifest.shards]
    return all((view / name).is_file() for name in names) and all(
        path.is_file() and path.stat().st_size == size for path, size in sizes
    )


def _remove(view: Path) -> None:
    """Out of sight in one step, then away."""
    if view.is_dir():
        dead = view.parent / f".{view.name}.{secrets.token_hex(4)}"
        view.rename(dead)
        shutil.rmtree(dead)
