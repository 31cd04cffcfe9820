"""How the gate and its containers come by sealed datasets: in the custodian's folder, or staged from an object store.

From a store, a run's version is brought into a cache on this machine, checked against the signed manifest, and that
folder is mounted: the container sees what it would see otherwise, and knows no store. The gate's key reads and lists.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from sandbox.errors import SandboxError
from sandbox.gate.database.store import Store
from sandbox.gate.hands import Vault
from sandbox.gate.places import Places
from sandbox.gate.runs import chronicle
from sandbox.sealing.head import DatasetHead
from sandbox.sealing.manifest import manifest_name, open_granted
from sandbox.sealing.storage import Folder, Source
from sandbox.service import journal
from sandbox.statements import PublicKey
from sandbox.storage.cache import Cache, View
from sandbox.storage.credential import read_key
from sandbox.storage.root import BucketRoot, Root
from sandbox.storage.settings import Storage


class Sealed(Protocol):
    """``manifest`` is the digest that a grant names."""

    def source(self, dataset: str) -> Source:
        """A dataset's objects, for deciding."""
        ...

    def folder(self, dataset: str, manifest: str) -> Path:
        """What a container mounts, once it is staged; a path, nothing is looked up."""
        ...

    def stage(self, dataset: str, manifest: str, wanted: Callable[[], None]) -> None:
        """See to it that ``folder`` holds this version. ``wanted`` is called now and then, and raises to give up.

        Raises:
            SealBroken, StatementError: what came is not what was signed.
            Unreachable: the store does not answer, or there is no room.
        """
        ...

    def tidy(self) -> None:
        """Remove what was erased from, compacted away or is too much, unless a live run uses it. May repeat."""
        ...


class Mounted:
    """The custodian's folder itself: nothing is copied, so nothing has to be removed."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def source(self, dataset: str) -> Source:
        return Folder(self._places.sealed(dataset))

    def folder(self, dataset: str, manifest: str) -> Path:  # noqa: ARG002 - all versions lie in one folder
        return self._places.sealed(dataset)

    def stage(self, dataset: str, manifest: str, wanted: Callable[[], None]) -> None:
        """It is there."""

    def tidy(self) -> None:
        """It is the custodian's."""


class Staged:
    """A cache before an object store."""

    def __init__(
        self, root: Root, cache: Cache, vault: Vault, trust: Callable[[str], Sequence[PublicKey]]
    ) -> None:
        self._root, self._cache, self._vault, self._trust = root, cache, vault, trust

    def source(self, dataset: str) -> Source:
        return self._root.store(dataset)

    def folder(self, dataset: str, manifest: str) -> Path:
        return self._cache.view(dataset, manifest)

    def stage(self, dataset: str, manifest: str, wanted: Callable[[], None]) -> None:
        source = self._root.store(dataset)
        opened = open_granted(source, dataset, manifest, self._trust("custodian"))
        self._cache.stage(source, opened, lambda *_: wanted())

    def tidy(self) -> None:
        """A dataset that nobody can tell about now stays as it is: it is asked about again."""
        self._cache.purge(self._allowed)
        self._cache.evict()

    def _allowed(self, view: View) -> bool:
        try:
            kept = self._vault.dataset_head(view.dataset).value
            if not kept:
                return False
            head = DatasetHead.from_json(kept)
            if not head.min_version <= view.version <= head.version:
                return False
            name = manifest_name(view.version).rpartition("/")[2]
            return name in self._root.store(view.dataset).names("manifests")
        except (SandboxError, TimeoutError) as fault:
            journal.trouble("cache.unchecked", fault, dataset=view.dataset)
            return True


def chosen(
    storage: Storage, places: Places, store: Store, vault: Vault, trust: Callable[[str], Sequence[PublicKey]]
) -> Sealed:
    """As ``configs/storage.yaml`` says.

    Raises CredentialError when a bucket was chosen and the gate has no key for it.
    """
    if storage.location is None:
        return Mounted(places)
    root = BucketRoot.connected(storage.location, read_key(places.private))
    return Staged(root, cache(places, storage, store), vault, trust)


def cache(places: Places, storage: Storage, store: Store) -> Cache:
    """The gate's own, below its private directory: what it mounts must lie in the state."""

    def live() -> set[str]:
        plans = store.read(lambda c: [chronicle.granted(chronicle.find(c, run)) for run in chronicle.live(c)])
        return {str(plan.manifest_digest) for plan in plans}

    return Cache(places.cache, storage.cache_bytes, live)
