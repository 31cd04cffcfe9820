"""The versions that stood at the head before: each named by the digest in its successor, and when it was replaced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sandbox.errors import SealBroken
from sandbox.records import Manifest
from sandbox.sealing.manifest import OpenedManifest, manifest_versions, open_with_digest
from sandbox.sealing.storage import Source
from sandbox.statements import PublicKey


@dataclass(frozen=True)
class Replaced:
    """A version that was once the newest, until ``at``."""

    manifest: Manifest
    at: datetime


def replaced_versions(
    source: Source, newest: OpenedManifest, trusted: Sequence[PublicKey]
) -> Iterator[Replaced]:
    """From the newest backwards, each verified by the digest that its successor signed; ends where one is missing.

    A manifest that lies between, but that no successor names, was never the newest: it is passed over.

    Raises:
        SealBroken: a successor's time is none.
    """
    after = newest.manifest
    for version in manifest_versions(source):
        if after.previous is None:
            return
        if version >= after.version:
            continue
        opened = open_with_digest(source, after.dataset, version, after.previous, trusted)
        if opened is not None:
            yield Replaced(opened.manifest, _moment(after))
            after = opened.manifest


def _moment(manifest: Manifest) -> datetime:
    try:
        moment = datetime.fromisoformat(manifest.created_at)
        if moment.tzinfo is None:
            raise ValueError
        return moment
    except ValueError:
        raise SealBroken(f"version {manifest.version} does not say when it was made") from None
