"""What most cases work on: a small sealed corpus, the ways to open it, and the ways to change it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.records import INDEX_KEY, IndexRow, Manifest, index_aad, record_aad
from sandbox.sealing.head import DatasetHead
from sandbox.sealing.manifest import index_name, manifest_name, open_at_head
from sandbox.sealing.reader import SealedDataset, open_version, read_pinned
from sandbox.sealing.records import cipher, encrypt
from sandbox.sealing.verify import verify_version
from sandbox.statements import Ed25519Signer, PublicKey, sha256
from tests.fakes.corpus import ANNA, World, record

Damage = Callable[["Corpus"], object]


@dataclass
class Corpus(World):
    """A world with what a reader brings along: whom it trusts, whose records it asks for, which digest was granted."""

    trusted: list[PublicKey] = field(default_factory=list)
    subjects: list[str] | None = None
    granted: str = ""
    opened: SealedDataset | None = None

    def at_head(self) -> Any:
        assert self.head.head
        return open_at_head(self.folder, self.dataset, self.head.head, self.trusted)

    def pinned_wraps(self) -> dict[str, list[str]]:
        return read_pinned(self.folder, self.manifest())[0]

    def data_key(self, subject: str, number: int = 0) -> bytes:
        return self.keys.unwrap_data_key(self.dataset, subject, self.pinned_wraps()[subject][number])

    def replace_envelope(self, envelope: bytes) -> None:
        """Other bytes for the newest manifest, and the head follows."""
        assert self.head.head
        version = self.head.head.version
        (self.root / manifest_name(version)).write_bytes(envelope)
        self.head.head = replace(self.head.head, manifest=sha256(envelope))

    def sign_index(self, sealed: bytes) -> None:
        """Other bytes for the index, properly signed."""
        manifest = self.manifest()
        (self.root / index_name(manifest.version)).write_bytes(sealed)
        self.sign(replace(manifest, index_sha256=sha256(sealed)))

    def seal_index(self, plain: bytes, aad: bytes | None = None) -> bytes:
        """Bytes of an index under the index's own data key."""
        manifest = self.manifest()
        return encrypt(
            cipher(self.data_key(INDEX_KEY)), plain, aad or index_aad(self.dataset, manifest.version)
        )

    def reseal(self, number: int, payload: bytes) -> None:
        """Another payload of the same length in a row's place, in proper form: sealed, pinned, signed."""
        row = self.rows()[number]
        aad = record_aad(self.dataset, row.record, row.subject, row.revision)
        self.plant(number, encrypt(cipher(self.data_key(row.subject, row.key)), payload, aad))

    def plant(self, number: int, sealed: bytes) -> None:
        """Other sealed bytes of the same length in a row's place; the signed index pins their tag."""
        row = self.rows()[number]
        assert len(sealed) == row.length
        self.put(row, sealed)
        self.sign_rows(at(number, tag=sealed[-16:]))


def prepared(folder: Path) -> Corpus:
    """Sealed once: u0 and u1 of Anna in shard 0, u2 and u3 of Ben in shard 1, all of one length."""
    corpus = Corpus(folder / "digits")
    corpus.seal()
    corpus.trusted = [corpus.signer.public]
    assert corpus.head.head
    corpus.granted = corpus.head.head.manifest
    return corpus


def twice(folder: Path) -> Corpus:
    """As :func:`prepared`, then sealed again with u9 of Anna, under a data key of its own: version 2."""
    corpus = prepared(folder)
    corpus.seal([record("u9", ANNA)])
    return corpus


def opened(folder: Path) -> Corpus:
    """As :func:`prepared`, and opened: what is changed now is changed after all checks before step 0."""
    corpus = prepared(folder)
    corpus.opened = corpus.open()
    return corpus


# Opening


def read(corpus: Corpus) -> object:
    """As a run does: head, manifest, keys, index, then every record of those asked for."""
    return list(open_version(corpus.folder, corpus.at_head(), corpus.keys, corpus.subjects).stream())


def start(corpus: Corpus) -> object:
    """All that is done before step 0, and no record."""
    return open_version(corpus.folder, corpus.at_head(), corpus.keys, corpus.subjects)


def read_on(corpus: Corpus) -> object:
    """A record, by a reader that had opened before."""
    assert corpus.opened
    return corpus.opened.read("u1")


def verify(corpus: Corpus) -> object:
    """As ``sandbox data verify`` does: every byte, without a key."""
    return verify_version(corpus.folder, corpus.at_head())


def by_grant(corpus: Corpus) -> object:
    """As the keeper does, who knows the digest of a grant and no head."""
    return list(
        SealedDataset.open(
            corpus.root,
            dataset=corpus.dataset,
            manifest_digest=corpus.granted,
            keys=corpus.trusted,
            keyring=corpus.keys,
            subjects=corpus.subjects,
        ).stream()
    )


def seal_more(corpus: Corpus) -> object:
    """As the custodian does with the next recordings."""
    return corpus.seal([record("u8", corpus.subjects[0] if corpus.subjects else ANNA)])


# Changing


def at(number: int, **changes: Any) -> Callable[[list[IndexRow]], list[IndexRow]]:
    return lambda held: [replace(row, **changes) if n == number else row for n, row in enumerate(held)]


def rows(change: Callable[[list[IndexRow]], list[IndexRow]]) -> Damage:
    return lambda corpus: corpus.sign_rows(change)


def manifest(**changes: Any) -> Damage:
    return lambda corpus: corpus.sign(replace(corpus.manifest(), **changes))


def manifest_by(change: Callable[[Manifest], dict[str, Any]]) -> Damage:
    """Changes that depend on what the manifest says."""
    return lambda corpus: corpus.sign(replace(corpus.manifest(), **change(corpus.manifest())))


def file_bit(name: str, offset: int = 40) -> Damage:
    return lambda corpus: corpus.flip(corpus.root / name, offset)


def file_bytes(name: str, change: Callable[[bytes], bytes]) -> Damage:
    return lambda corpus: (corpus.root / name).write_bytes(change((corpus.root / name).read_bytes()))


def drop(name: str) -> Damage:
    return lambda corpus: (corpus.root / name).unlink()


def older(name: Callable[[int], str]) -> Damage:
    """Version 1's object under version 2's name."""
    return lambda corpus: shutil.copy(corpus.root / name(1), corpus.root / name(2))


def link(path: Path) -> None:
    """The very same bytes, but reached over a link that leads out of the folder."""
    away = path.rename(path.parent.parent.parent / path.name)
    path.symlink_to(away)


def wraps_swapped(wraps: dict[str, list[str]]) -> dict[str, list[str]]:
    one, other = sorted(name for name in wraps if name != INDEX_KEY)
    return {**wraps, one: wraps[other], other: wraps[one]}


def swap_unsigned(name: str) -> Damage:
    return file_bytes(name, lambda data: json.dumps(wraps_swapped(json.loads(data))).encode())


def stranger() -> Ed25519Signer:
    return Ed25519Signer(Ed25519PrivateKey.generate())


def head(**changes: Any) -> Damage:
    def damage(corpus: Corpus) -> None:
        assert corpus.head.head
        corpus.head.head = DatasetHead(**{**corpus.head.head.to_json(), **changes})

    return damage
