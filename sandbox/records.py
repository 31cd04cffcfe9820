"""Data subject, sealed record, manifest: the words of ``sealed/1``.

Ids are ASCII, lower case and safe to say aloud, so no two of them collide by case or Unicode form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NewType

from sandbox.errors import SealBroken, Usage
from sandbox.statements import canonical_json

SubjectId = NewType("SubjectId", str)
DatasetId = NewType("DatasetId", str)
RecordId = NewType("RecordId", str)

FORMAT = "sealed/1"
ARTIFACT_FORMAT = "sealed-artifact/1"
INDEX_KEY = "_index"
NONCE_BYTES = 12
TAG_BYTES = 16

_PATTERNS = {
    "subject": re.compile(r"spk_[a-z0-9]{2,32}"),
    "dataset": re.compile(r"(?!index$)[a-z][a-z0-9-]{0,47}"),
    "record": re.compile(r"[a-z0-9][a-z0-9_-]{0,63}"),
    "run": re.compile(r"r-[a-z0-9]{4,16}"),
    "grant": re.compile(r"g-[a-z0-9]{4,16}"),
    "agreement": re.compile(r"[a-z][a-z0-9-]{0,47}"),
    "consignment": re.compile(r"cs-[a-z0-9]{4,16}"),
    "person": re.compile(r"[a-z][a-z0-9]*(\.[a-z0-9]+){0,3}"),
    "sha256": re.compile(r"[0-9a-f]{64}"),
}


def check_id(kind: str, value: object) -> str:
    """``value``, if it is an id of that kind.

    Raises:
        Usage: it is not; the message shows the pattern, and the value only if it is short plain ASCII.
    """
    pattern = _PATTERNS[kind]
    if isinstance(value, str) and pattern.fullmatch(value):
        return value
    shown = value if isinstance(value, str) and value.isascii() and len(value) <= 64 else "this value"
    raise Usage(f"{shown!r} is no {kind} id", mend=f"write it as {pattern.pattern}")


def record_aad(dataset: str, record: str, subject: str, revision: int) -> bytes:
    """Additional authenticated data of one record: binds the ciphertext to its place (SEALED.md)."""
    return canonical_json([FORMAT, "rec", dataset, record, subject, revision])


def index_aad(dataset: str, version: int) -> bytes:
    """Additional authenticated data of an index object."""
    return canonical_json([FORMAT, "index", dataset, version])


def key_context(dataset: str) -> bytes:
    """Derivation context of every transit key of a dataset, before base64 (CONTRACTS, Vault)."""
    return canonical_json([FORMAT, dataset])


def artifact_context(run: str, path: str) -> bytes:
    """Derivation context of an artifact's data key, before base64 (CONTRACTS, Vault)."""
    return canonical_json([ARTIFACT_FORMAT, run, path])


@dataclass(frozen=True)
class IndexRow:
    """Where one record lies and what it must be. ``key`` counts the subject's wraps in ``keys/<version>.json``.

    ``offset`` and ``length`` are bytes of nonce | ciphertext | tag inside the shard; ``samples`` at ``sample_rate`` Hz.
    """

    record: str
    subject: str
    revision: int
    shard: int
    offset: int
    length: int
    tag: bytes
    samples: int
    sample_rate: int
    characters: int
    language: str
    key: int


@dataclass(frozen=True)
class Shard:
    """One immutable object, named by its content."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """The signed predicate of one version of a dataset. ``previous`` is the digest of the manifest before it."""

    format: str
    dataset: str
    version: int
    previous: str | None
    records: int
    hours: float
    subjects: tuple[str, ...]
    shards: tuple[Shard, ...]
    index_sha256: str
    keys_sha256: str
    agreement: str
    agreement_digest: str
    purposes: tuple[str, ...]
    retention_until: str
    region: str
    consent_digest: str
    tombstones: tuple[str, ...]
    key_versions: Mapping[str, int]
    min_reader: str
    processing: Mapping[str, Any]
    created_at: str

    def to_predicate(self) -> dict[str, Any]:
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**said, "shards": [{"sha256": shard.sha256, "size": shard.size} for shard in self.shards]}

    @classmethod
    def from_predicate(cls, predicate: Mapping[str, Any]) -> Manifest:
        """Raises SealBroken when a field is missing, unknown or of another type."""
        try:
            values = dict(predicate)
            values["shards"] = tuple(Shard(str(s["sha256"]), int(s["size"])) for s in values["shards"])
            for name in ("subjects", "purposes", "tombstones"):
                values[name] = tuple(str(item) for item in values[name])
            values["key_versions"] = {str(k): int(v) for k, v in values["key_versions"].items()}
            values["version"] = int(values["version"])
            values["min_reader"] = str(values["min_reader"])
            return cls(**values)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise SealBroken("the manifest is signed, but its fields are not those of sealed/1") from None
