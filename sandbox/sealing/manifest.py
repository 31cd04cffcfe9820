"""Opening a manifest: digest, payload type, signature, then what it says, then the names it makes (SEALED.md)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.errors import RollbackDetected, SealBroken, Usage
from sandbox.records import FORMAT, INDEX_KEY, Manifest, check_id
from sandbox.sealing.head import DatasetHead
from sandbox.sealing.storage import Source, read_whole
from sandbox.statements import PublicKey, open_statement, sha256

STATEMENT = "manifest"
READER = 1  # the newest manifest that this code may open
MAX_MANIFEST_BYTES = 64 << 20
MAX_VERSION = 999_999_999  # what a name has room for
_NAME = re.compile(r"([1-9][0-9]{0,8})\.dsse\.json")


@dataclass(frozen=True)
class OpenedManifest:
    """A verified manifest and the digest of its envelope."""

    manifest: Manifest
    digest: str


def manifest_name(version: int) -> str:
    return f"manifests/{version}.dsse.json"


def index_name(version: int) -> str:
    return f"index/{version}.sealed"


def keys_name(version: int) -> str:
    return f"keys/{version}.json"


def shard_name(digest: str) -> str:
    return f"shards/{digest}.tar"


def objects(manifest: Manifest) -> list[tuple[str, str]]:
    """(name, sha256) of every object of a version; the subjects of its in-toto statement."""
    version = manifest.version
    return [
        (index_name(version), manifest.index_sha256),
        (keys_name(version), manifest.keys_sha256),
        *((shard_name(shard.sha256), shard.sha256) for shard in manifest.shards),
    ]


def open_at_head(
    source: Source, dataset: str, head: DatasetHead, trusted: Sequence[PublicKey]
) -> OpenedManifest:
    """The newest version, as the head names it.

    Raises:
        RollbackDetected: storage is older than the head.
        SealBroken, StatementError: as :func:`open_granted`.
    """
    name = manifest_name(head.version)
    if name.rpartition("/")[2] not in source.names("manifests"):
        raise RollbackDetected(f"storage holds no version {head.version} of {dataset}, but the head names it")
    opened = _open(source, name, dataset, head.manifest, trusted)
    if opened.manifest.version < head.min_version:
        raise RollbackDetected(f"version {opened.manifest.version} of {dataset} may no longer be opened")
    return opened


def open_granted(source: Source, dataset: str, digest: str, trusted: Sequence[PublicKey]) -> OpenedManifest:
    """The version whose manifest has the digest that a grant names; the gate compared it with the head.

    Raises:
        SealBroken: no such manifest, or it says something that it must not.
        StatementError: another payload type, or not signed by ``trusted``.
    """
    for version in manifest_versions(source):
        opened = open_with_digest(source, dataset, version, digest, trusted)
        if opened is not None:
            return opened
    raise SealBroken(f"{dataset} has no manifest with the digest granted", code="seal.manifest_missing")


def manifest_versions(source: Source) -> list[int]:
    """Versions whose manifests lie there, the newest first."""
    return sorted((int(m[1]) for m in map(_NAME.fullmatch, source.names("manifests")) if m), reverse=True)


def open_with_digest(
    source: Source, dataset: str, version: int, digest: str, trusted: Sequence[PublicKey]
) -> OpenedManifest | None:
    """That version, if its manifest has that digest; raises as :func:`open_granted`."""
    name = manifest_name(version)
    if sha256(read_whole(source, name, MAX_MANIFEST_BYTES)) != digest:
        return None
    return _open(source, name, dataset, digest, trusted)


def _open(
    source: Source, name: str, dataset: str, digest: str, trusted: Sequence[PublicKey]
) -> OpenedManifest:
    data = read_whole(source, name, MAX_MANIFEST_BYTES)
    if sha256(data) != digest:  # 1. the very bytes
        raise SealBroken(f"{name} is not the manifest that was expected", code="seal.manifest_differs")
    statement = open_statement(data, STATEMENT, trusted)  # 2., 3. payload type, then signature
    manifest = Manifest.from_predicate(statement.predicate)
    _check_identity(manifest, dataset, name)  # 4.
    _check_names(manifest)  # 5.
    if list(statement.subjects) != objects(manifest):
        raise SealBroken(f"{name} signs other objects than it lists", code="seal.manifest_invalid")
    return OpenedManifest(manifest, digest)


def _check_identity(manifest: Manifest, dataset: str, name: str) -> None:
    if manifest.format != FORMAT:
        raise SealBroken(f"{name} is of an unknown format", code="seal.format_unknown")
    if not manifest.min_reader.isdecimal() or int(manifest.min_reader) > READER:
        raise SealBroken(
            f"{name} asks for a newer reader", code="seal.format_newer", mend="update the sandbox"
        )
    if manifest.dataset != dataset:
        raise SealBroken(f"{name} belongs to another dataset", code="seal.manifest_differs")
    if manifest_name(manifest.version) != name:
        raise RollbackDetected(f"{name} is really version {manifest.version}")


def _check_names(manifest: Manifest) -> None:
    try:
        for digest in (manifest.index_sha256, manifest.keys_sha256, *(s.sha256 for s in manifest.shards)):
            check_id("sha256", digest)
        for subject in (*manifest.subjects, *manifest.tombstones):
            check_id("subject", subject)
    except Usage:
        raise SealBroken("the manifest has an impossible name", code="seal.manifest_invalid") from None
    shards = [shard.sha256 for shard in manifest.shards]
    if len(set(shards)) != len(shards) or any(shard.size <= 0 for shard in manifest.shards):
        raise SealBroken("the manifest names a shard twice, or an empty one", code="seal.manifest_invalid")
    if len(set(manifest.subjects)) != len(manifest.subjects) or set(manifest.subjects) & set(
        manifest.tombstones
    ):
        raise SealBroken("the manifest names a subject twice", code="seal.manifest_invalid")
    if set(manifest.key_versions) != {*manifest.subjects, INDEX_KEY}:
        raise SealBroken("the manifest names keys of other subjects", code="seal.manifest_invalid")
