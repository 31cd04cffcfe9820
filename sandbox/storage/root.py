"""All sealed datasets of an installation: below a folder, or below a bucket's prefix."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sandbox.errors import Usage
from sandbox.records import check_id
from sandbox.sealing.storage import Folder, Store
from sandbox.storage.credential import StorageKey
from sandbox.storage.patience import Patience
from sandbox.storage.settings import Location

if TYPE_CHECKING:
    from sandbox.storage.bucket import Bucket


class Root(Protocol):
    """Opens datasets by their id."""

    def datasets(self) -> list[str]:
        """Ids of all that anything was ever written for, whether a head names it or not."""
        ...

    def store(self, dataset: str) -> Store: ...


@dataclass(frozen=True)
class LocalRoot:
    """Datasets as folders below ``path``."""

    path: Path

    def datasets(self) -> list[str]:
        return _ids(entry.name for entry in self.path.iterdir() if entry.is_dir())

    def store(self, dataset: str) -> Store:
        return Folder(self.path / check_id("dataset", dataset))


@dataclass(frozen=True)
class BucketRoot:
    """Datasets below a bucket's prefix. ``spool``: where shards grow (ciphertext); None for who only reads."""

    location: Location
    key: StorageKey = field(repr=False)
    spool: Path | None = None
    system: Any = field(default=None, repr=False)

    @classmethod
    def connected(cls, location: Location, key: StorageKey, spool: Path | None = None) -> BucketRoot:
        """The library is imported here: with datasets in a folder nobody waits for it."""
        from sandbox.storage.client import connect

        return cls(location, key, spool, connect(location, key))

    def datasets(self) -> list[str]:
        return _ids(self._bucket(self.location.prefix).folders())

    def store(self, dataset: str) -> Store:
        return self._bucket(f"{self.location.prefix}/{check_id('dataset', dataset)}")

    def check(self) -> None:
        """Raises Unreachable when the store cannot be reached with this key, or would overwrite objects."""
        self._bucket(self.location.prefix).check_conditions(".conditions")

    def _bucket(self, prefix: str) -> Bucket:
        from sandbox.storage.bucket import Bucket

        patience = Patience(self.location.attempts)
        return Bucket(self.system, self.location, prefix, patience, self.spool)


def _ids(names: Any) -> list[str]:
    found = []
    for name in names:
        try:
            found.append(check_id("dataset", name))
        except Usage:
            continue  # nothing of ours
    return sorted(found)
