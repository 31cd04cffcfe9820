"""What an erasure's certificate will say of its key, kept from the proof to the certificate: a file a person.

It is written before the tombstone, when the wraps that failed still stand in the newest version; afterwards nothing
else here would tell what was destroyed. It holds digests and ids only.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox import audit
from sandbox.custodian.desk import Desk
from sandbox.custodian.files import PRIVATE, write_file
from sandbox.errors import EvidenceMismatch
from sandbox.records import Manifest
from sandbox.sealing.previous import open_previous
from sandbox.sealing.reader import read_wraps
from sandbox.statements import canonical_json, sha256


@dataclass(frozen=True)
class Case:
    """``objects``: count, Merkle root and shards; ``wraps``: digests of the wraps that failed; ``manifest`` before."""

    objects: Mapping[str, Any]
    wraps: tuple[str, ...]
    manifest: str
    destroyed_at: str
    receipt: bytes | None
    without_receipt: str | None

    def to_bytes(self) -> bytes:
        receipt = None if self.receipt is None else base64.b64encode(self.receipt).decode()
        return canonical_json({**vars(self), "wraps": list(self.wraps), "receipt": receipt})

    @classmethod
    def from_bytes(cls, data: bytes) -> Case:
        found = json.loads(data)
        found["wraps"] = tuple(found["wraps"])
        found["receipt"] = None if found["receipt"] is None else base64.b64decode(found["receipt"])
        return cls(**found)


@dataclass(frozen=True)
class Held:
    """What the newest version holds of one subject."""

    objects: Mapping[str, Any]
    wraps: tuple[str, ...] = field(repr=False)

    @property
    def digests(self) -> tuple[str, ...]:
        return tuple(sha256(wrapped.encode()) for wrapped in self.wraps)


def objects(desk: Desk, dataset: str, manifest: Manifest, subjects: Sequence[str]) -> dict[str, Held]:
    """Their records as Merkle roots (RFC 6962) over ``[record, revision, shard, offset, length, tag]``, and wraps."""
    hands = desk.hands(dataset)
    before = open_previous(desk.folder(dataset), dataset, hands.head, hands.keys, hands.trusted)
    leaves: dict[str, list[bytes]] = {subject: [] for subject in subjects}
    shards: dict[str, set[str]] = {subject: set() for subject in subjects}
    for row in before.rows.where(before.rows.of_subjects(subjects)):
        shard = before.shards[row.shard].sha256
        leaf = [row.record, row.revision, shard, row.offset, row.length, row.tag.hex()]
        leaves[row.subject].append(audit.leaf_hash(canonical_json(leaf)))
        shards[row.subject].add(shard)
    wraps = read_wraps(desk.folder(dataset), manifest)
    return {
        subject: Held(
            {
                "records": len(leaves[subject]),
                "merkle_root": audit.root(leaves[subject]).hex(),
                "shards": sorted(shards[subject]),
            },
            tuple(wraps[subject]),
        )
        for subject in subjects
    }


def folder(desk: Desk) -> Path:
    """The custodian's alone."""
    found = desk.sealed.parent / "erasures"
    found.mkdir(mode=0o700, exist_ok=True)
    return found


def write(desk: Desk, dataset: str, subject: str, case: Case) -> None:
    write_file(folder(desk) / f"{dataset}.{subject}.json", case.to_bytes(), PRIVATE)


def read(desk: Desk, dataset: str, subject: str) -> Case:
    """Raises EvidenceMismatch when the proof is gone: then nothing can be certified."""
    try:
        return Case.from_bytes((folder(desk) / f"{dataset}.{subject}.json").read_bytes())
    except (OSError, ValueError, KeyError, TypeError):
        raise EvidenceMismatch(
            f"the proof that the key of {subject} in {dataset} was destroyed is gone",
            code="erasure.proof_missing",
            mend="restore custodian/erasures from a backup",
        ) from None
