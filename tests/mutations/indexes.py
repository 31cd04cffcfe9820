"""The index: its bytes on the disk, then what a properly sealed and signed one must not say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgpack

from sandbox.records import IndexRow, index_aad
from sandbox.sealing import index
from sandbox.sealing.manifest import index_name
from sandbox.sealing.records import MAX_SEALED_BYTES
from tests.fakes.corpus import BEN
from tests.mutations.case import Case
from tests.mutations.checks import INDEX_DIGEST, MISSING
from tests.mutations.corpora import (
    Corpus,
    Damage,
    at,
    drop,
    file_bit,
    file_bytes,
    older,
    prepared,
    read,
    rows,
    seal_more,
    twice,
    verify,
)
from tests.mutations.removal import Check, check

INVALID = "seal.index_invalid"


def shape(name: str, held: str, instead: str = "if False:") -> Check:
    return check(name, "sealing.index:unpack", held, instead)


def column(name: str, held: str, instead: str = "if False:") -> Check:
    return check(name, "sealing.index:_check_columns", held, instead)


def whole(name: str, held: str, instead: str = "if False:") -> Check:
    return check(name, "sealing.index:check", held, instead)


def place(name: str, held: str, instead: str) -> Check:
    return check(name, "sealing.index:_check_place", held, instead)


NUMBER = column("numbers are whole", "set(map(type, columns[name])) - {int} or ", "")
NEGATIVE = column("numbers are not negative", " or min(columns[name], default=0) < 0", "")
RECORD_ID = column("record ids are plain", 'check_id("record", record)', "pass")
TAG = column(
    "a tag has 16 bytes", 'if any(type(tag) is not bytes or len(tag) != TAG_BYTES for tag in columns["tag"]):'
)
LANGUAGE = column(
    "a language is a tag",
    'if not all(LANGUAGE.fullmatch(language) for language in set(columns["language"])):',
)
FORM = shape("format of the index", "form != FORMAT or ", "")
COLUMNS = shape("exactly these columns", " or set(columns) != set(COLUMNS)", "")
EVEN = shape("columns of one length", "strict=True", "strict=False")
COUNT = whole("records counted by the manifest", "if len(rows) != manifest.records:")
TWICE = whole("no record twice", "if len({row.record for row in rows}) != len(rows):")
PEOPLE = whole(
    "the people of index and manifest", "if {row.subject for row in rows} != set(manifest.subjects):"
)
KEY = whole("a key of the record's subject", "if row.key >= len(wraps[row.subject]):")
OVERLAP = whole(
    "no record over another",
    "if before.shard == after.shard and before.offset + before.length > after.offset:",
)
LENGTH = place("a possible length", "not OVERHEAD <= row.length <= MAX_SEALED_BYTES or ", "")
SAMPLES = place("a possible number of samples", " or not 0 < row.samples <= MAX_SAMPLES", "")
SHARD = place("a shard that exists", "row.shard >= len(manifest.shards) or ", "")
INSIDE = place("inside its shard", " or row.offset + row.length > manifest.shards[row.shard].size", "")
VERSION = check("additional data of the index binds the version", "records:index_aad", ", version]", "]")
DATASET = check("additional data of the index binds the dataset", "records:index_aad", ", dataset,", ",")


def columns(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Other columns, properly sealed and signed."""

    def damage(corpus: Corpus) -> None:
        held = msgpack.unpackb(index.pack(corpus.rows()))
        change(held)
        corpus.sign_index(corpus.seal_index(msgpack.packb(held)))

    return damage


def sealed_for(dataset: str, version: int) -> Damage:
    """The right rows, but sealed as the index of something else."""
    return lambda corpus: corpus.sign_index(
        corpus.seal_index(index.pack(corpus.rows()), index_aad(dataset, version))
    )


def overlap(held: list[IndexRow]) -> list[IndexRow]:
    return [replace(held[0], offset=held[1].offset - 1), *held[1:]]


def enormous(corpus: Corpus) -> None:
    """The last record, in a shard that is large enough for it: zeros that take no room on the disk."""
    held, row = corpus.manifest(), corpus.rows()[3]
    size = row.offset + MAX_SEALED_BYTES + 1
    with corpus.shard(1).open("r+b") as file:
        file.truncate(size)
    corpus.sign(replace(held, shards=(held.shards[0], replace(held.shards[1], size=size))))
    corpus.sign_rows(at(3, length=MAX_SEALED_BYTES + 1))


def one_fewer_counted(corpus: Corpus) -> None:
    corpus.sign(replace(corpus.manifest(), records=3))


def without_ben(held: list[IndexRow]) -> list[IndexRow]:
    return [row for row in held if row.subject != BEN]


NAME = index_name(1)
DISK = {
    "bit": (prepared, file_bit(NAME), "seal.index_differs", INDEX_DIGEST),
    "cut": (prepared, file_bytes(NAME, lambda data: data[:-1]), "seal.index_differs", INDEX_DIGEST),
    "empty": (prepared, file_bytes(NAME, lambda _: b""), "seal.index_differs", INDEX_DIGEST),
    "missing": (prepared, drop(NAME), "seal.object_missing", MISSING),
    "an old one under a new name": (twice, older(index_name), "seal.index_differs", INDEX_DIGEST),
}
SIGNED = {
    "sealed for another version": (sealed_for("digits", 2), "seal.forged", VERSION),
    "sealed for another dataset": (sealed_for("other", 1), "seal.forged", DATASET),
    "another format": (columns(lambda held: held.update(format="sealed/0")), INVALID, FORM),
    "a column more": (columns(lambda held: held.update(name=["Anna"] * 4)), INVALID, COLUMNS),
    "a column cut": (columns(lambda held: held["language"].pop()), INVALID, EVEN),
    "a number is none": (columns(lambda held: held.update(characters=[1.5] * 4)), INVALID, NUMBER),
    "fewer records than counted": (one_fewer_counted, "seal.broken", COUNT),
    "a record twice": (rows(at(1, record="u0")), INVALID, TWICE),
    "a person's records left out": (rows(without_ben), INVALID, PEOPLE),
    "a record of nobody": (rows(at(0, subject="spk_nobody")), INVALID, PEOPLE),
    "offset behind the shard": (rows(at(0, offset=1 << 40)), INVALID, INSIDE),
    "length beyond the shard": (rows(at(3, length=1 << 20)), INVALID, INSIDE),
    "length above any record": (enormous, INVALID, LENGTH),
    "length below any record": (rows(at(0, length=10)), INVALID, LENGTH),
    "no samples": (rows(at(0, samples=0)), INVALID, SAMPLES),
    "too many samples": (rows(at(0, samples=1 << 40)), INVALID, SAMPLES),
    "records overlap": (rows(overlap), INVALID, OVERLAP),
    "shard number too high": (rows(at(0, shard=2)), INVALID, SHARD),
    "shard number negative": (rows(at(3, shard=-1)), INVALID, NEGATIVE),
    "offset negative": (rows(at(0, offset=-1)), INVALID, NEGATIVE),
    "key number too high": (rows(at(0, key=1)), INVALID, KEY),
    "key number negative": (rows(at(0, key=-1)), INVALID, NEGATIVE),
    "record id collides by case": (rows(at(0, record="U1")), INVALID, RECORD_ID),
    "record id is not ASCII": (rows(at(0, record="u１")), INVALID, RECORD_ID),
    "short tag": (rows(at(0, tag=b"x")), INVALID, TAG),
    "language is none": (rows(at(0, language="<b>")), INVALID, LANGUAGE),
}

CASES = [
    *(Case("index", name, prepare, damage, read, *rest) for name, (prepare, damage, *rest) in DISK.items()),
    Case("index", "bit, verified", prepared, file_bit(NAME), verify, "seal.index_differs", INDEX_DIGEST),
    Case(
        "index",
        "bit, then sealed upon",
        prepared,
        file_bit(NAME),
        seal_more,
        "seal.index_differs",
        INDEX_DIGEST,
    ),
    *(
        Case("index", f"signed: {name}", prepared, damage, read, *rest)
        for name, (damage, *rest) in SIGNED.items()
    ),
]
