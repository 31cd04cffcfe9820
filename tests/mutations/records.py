"""One record: its bytes, its place, its key, its payload."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgpack

from sandbox.sealing.records import cipher, seal_record
from sandbox.sealing.storage import Folder
from tests.fakes.corpus import ANNA, BEN, CANARY, DATASET, RECORDS, World, record
from tests.mutations.case import Case
from tests.mutations.checks import AEAD, SHARD_DIGEST, TAG_PIN
from tests.mutations.corpora import Corpus, Damage, at, prepared, read, twice, verify
from tests.mutations.removal import Check, check

LENGTH = check("a record's length", "sealing.records:open_record", "if len(sealed) != row.length:")
PAYLOAD = check(
    "types in a record's payload",
    "sealing.records:open_record",
    "if not isinstance(flac, bytes) or not isinstance(text, str):",
)


def bound(word: str) -> Check:
    """One word fewer in the additional data of a record."""
    end = "]" if word == "revision" else ","
    return check(f"additional data binds the {word}", "records:record_aad", f", {word}{end}", end)


def bit(place: str) -> Damage:
    def damage(corpus: Corpus) -> None:
        row = corpus.rows()[0]
        offset = {"nonce": 0, "flac": 12 + 20, "tag": row.length - 1}[place]
        corpus.flip(corpus.shard(0), row.offset + offset)

    return damage


def zero(corpus: Corpus) -> None:
    row = corpus.rows()[0]
    corpus.put(row, bytes(row.length))


def swap(one: int, other: int) -> Damage:
    def damage(corpus: Corpus) -> None:
        rows = corpus.rows()
        first, second = corpus.sealed(rows[one]), corpus.sealed(rows[other])
        assert len(first) == len(second)
        corpus.put(rows[one], second)
        corpus.put(rows[other], first)

    return damage


def of_another_dataset(corpus: Corpus) -> None:
    """The same ids, key server, signer and lengths."""
    other = World(corpus.root.parent / "other", keys=corpus.keys, signer=corpus.signer, dataset="other")
    other.seal()
    for row, foreign in zip(corpus.rows(), other.rows(), strict=True):
        corpus.put(row, other.sealed(foreign))


def old_revision(corpus: Corpus) -> None:
    """A former sealing of the same record at the same place, under the same key: authentic in every way."""
    corpus.put(corpus.rows()[0], seal_record(RECORDS[0], DATASET, 1, cipher(corpus.data_key(ANNA))))


def sealed_as(dataset: str = DATASET, name: str = "u0", subject: str = ANNA, revision: int = 1) -> Damage:
    """The custodian signs an index whose row u0 pins a record that was sealed for another place, under u0's key."""

    def damage(corpus: Corpus) -> None:
        key = cipher(corpus.data_key(ANNA))
        corpus.plant(0, seal_record(record(name, subject), dataset, revision, key))

    return damage


def key_of_another_sealing(corpus: Corpus) -> None:
    corpus.sign_rows(at(4, key=0))


def text_is_bytes(corpus: Corpus) -> None:
    payload = {"flac": RECORDS[0].flac, "text": CANARY, "source": {}}
    corpus.reseal(0, msgpack.packb(payload))


class Generous(Folder):
    """A storage that answers with more bytes than it was asked for."""

    def __init__(self, corpus: Remote) -> None:
        super().__init__(corpus.root)
        self.more = corpus.more

    def read(self, name: str, offset: int, length: int) -> bytes:
        data = super().read(name, offset, length)
        return data + self.more if name.startswith("shards/") else data


@dataclass
class Remote(Corpus):
    """A corpus behind a storage of another kind."""

    more: bytes = b""

    @property
    def folder(self) -> Folder:
        return Generous(self)


def remote(folder: Path) -> Remote:
    corpus = Remote(folder / "digits")
    corpus.seal()
    corpus.trusted = [corpus.signer.public]
    return corpus


def generous(corpus: Remote) -> None:
    corpus.more = b"x"


READ = {
    "nonce bit": (bit("nonce"), "seal.forged", AEAD),
    "ciphertext bit": (bit("flac"), "seal.forged", AEAD),
    "tag bit": (bit("tag"), "seal.tag_differs", TAG_PIN),
    "zeroed": (zero, "seal.tag_differs", TAG_PIN),
    "swapped within a subject": (swap(0, 1), "seal.tag_differs", TAG_PIN),
    "swapped across subjects": (swap(1, 2), "seal.tag_differs", TAG_PIN),
    "swapped across shards": (swap(0, 3), "seal.tag_differs", TAG_PIN),
    "of another dataset with the same ids": (of_another_dataset, "seal.tag_differs", TAG_PIN),
    "old revision put back": (old_revision, "seal.tag_differs", TAG_PIN),
    "signed row pins another record": (sealed_as(name="u1"), "seal.forged", bound("record")),
    "signed row pins another subject's": (sealed_as(subject=BEN), "seal.forged", bound("subject")),
    "signed row pins another dataset's": (sealed_as(dataset="other"), "seal.forged", bound("dataset")),
    "signed row pins another revision": (sealed_as(revision=2), "seal.forged", bound("revision")),
    "transcript is no text, sealed and signed": (text_is_bytes, "seal.broken", PAYLOAD),
}
VERIFIED = {
    "ciphertext bit": bit("flac"),
    "swapped within a subject": swap(0, 1),
    "of another dataset with the same ids": of_another_dataset,
    "old revision put back": old_revision,
}

CASES = [
    *(
        Case("record", name, prepared, damage, read, code, gone)
        for name, (damage, code, gone) in READ.items()
    ),
    Case("record", "key of another sealing", twice, key_of_another_sealing, read, "seal.forged", AEAD),
    Case("record", "storage answers a byte too many", remote, generous, read, "seal.broken", LENGTH),
    *(
        Case("record", f"{name}, verified", prepared, damage, verify, "seal.shard_differs", SHARD_DIGEST)
        for name, damage in VERIFIED.items()
    ),
]
