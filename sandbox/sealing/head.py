"""The head of a dataset: which version is the newest, kept where storage cannot roll it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from sandbox.errors import RollbackDetected, SealBroken
from sandbox.records import check_id


@dataclass(frozen=True)
class DatasetHead:
    """``manifest`` is the digest of ``manifests/<version>.dsse.json``; nothing below ``min_version`` may be opened."""

    version: int
    manifest: str
    min_version: int = 1

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> DatasetHead:
        try:
            head = cls(
                int(value["version"]), check_id("sha256", value["manifest"]), int(value["min_version"])
            )
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it is no head
            raise SealBroken("the dataset's head is unreadable", code="seal.head_invalid") from None
        if not 1 <= head.min_version <= head.version:
            raise RollbackDetected("the dataset's head lies below its own lowest version")
        return head


@dataclass(frozen=True)
class HeadSeen:
    """A head as it was read; ``cas`` is what a later move must name. No head yet: ``head`` is None and ``cas`` 0."""

    head: DatasetHead | None
    cas: int


class Head(Protocol):
    """Check-and-set over one dataset's head."""

    def read(self) -> HeadSeen: ...

    def move(self, head: DatasetHead, cas: int) -> None:
        """Raises Conflict when somebody moved it since ``cas`` was read."""
        ...
