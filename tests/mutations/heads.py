"""The head: what stands in Vault, and what a reader and a writer make of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox.errors import Conflict, RollbackDetected
from sandbox.sealing.head import DatasetHead
from tests.fakes.corpus import ANNA, BEN, World, record
from tests.mutations.case import Case
from tests.mutations.checks import MANIFEST_DIGEST
from tests.mutations.corpora import Corpus, head, prepared, read, verify
from tests.mutations.manifests import LOWEST, NEWEST
from tests.mutations.removal import check

READABLE = check(
    "a head has its fields",
    "sealing.head:DatasetHead.from_json",
    "except Exception:",
    "except ZeroDivisionError:",
)
DIGEST = check(
    "a head names a digest",
    "sealing.head:DatasetHead.from_json",
    'check_id("sha256", value["manifest"])',
    'value["manifest"]',
)
ORDER = check(
    "a head is not below its lowest version",
    "sealing.head:DatasetHead.from_json",
    "if not 1 <= head.min_version <= head.version:",
)
CHECK_AND_SET = check(
    "check-and-set of the head",
    "sealing.version:VersionWriter.move_head",
    "self._before.cas",
    "self._hands.head.read().cas",
)


def stored(_: Path) -> dict[str, Any]:
    """A head as Vault's KV holds it."""
    return DatasetHead(2, "a" * 64).to_json()


def of_another_dataset(corpus: Corpus) -> None:
    other = World(corpus.root.parent / "other", signer=corpus.signer, dataset="other")
    other.seal()
    corpus.head.head = other.head.head


def sealed_meanwhile(corpus: Corpus) -> None:
    corpus.subjects = [BEN]


def race(corpus: Corpus) -> object:
    """A sealing, during which another one ends when ``subjects`` names somebody."""

    def slow():
        yield record("slow", ANNA)
        if corpus.subjects:
            corpus.seal([record("fast", corpus.subjects[0])])

    return corpus.seal(slow())


INVALID, ROLLBACK = "seal.head_invalid", "seal.rollback"
STORED = {
    "a field missing": ({"manifest": None}, INVALID, READABLE),
    "version is no number": ({"version": "x"}, INVALID, READABLE),
    "manifest is no digest": ({"manifest": "../x"}, INVALID, DIGEST),
    "below its lowest version": ({"min_version": 3}, ROLLBACK, ORDER, RollbackDetected),
    "lowest version is zero": ({"min_version": 0}, ROLLBACK, ORDER, RollbackDetected),
}


def changed(changes: dict[str, Any]):
    def damage(value: dict[str, Any]) -> None:
        value.update(changes)
        for name in [name for name, held in changes.items() if held is None]:
            del value[name]

    return damage


CASES = [
    *(
        Case("head", name, stored, changed(changes), DatasetHead.from_json, *rest)
        for name, (changes, *rest) in STORED.items()
    ),
    Case(
        "head",
        "a digest of nothing",
        prepared,
        head(manifest="b" * 64),
        read,
        "seal.manifest_differs",
        MANIFEST_DIGEST,
    ),
    Case(
        "head",
        "another dataset's",
        prepared,
        of_another_dataset,
        read,
        "seal.manifest_differs",
        MANIFEST_DIGEST,
    ),
    Case(
        "head",
        "a version that is not there",
        prepared,
        head(version=9),
        read,
        ROLLBACK,
        NEWEST,
        RollbackDetected,
    ),
    Case(
        "head",
        "storage below the lowest version",
        prepared,
        head(min_version=2),
        read,
        ROLLBACK,
        LOWEST,
        RollbackDetected,
    ),
    Case(
        "head",
        "storage below the lowest version, verified",
        prepared,
        head(min_version=2),
        verify,
        ROLLBACK,
        LOWEST,
        RollbackDetected,
    ),
    Case(
        "head",
        "moved by another writer",
        prepared,
        sealed_meanwhile,
        race,
        "seal.lost_race",
        CHECK_AND_SET,
        Conflict,
    ),
]
