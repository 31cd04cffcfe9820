"""The index: its bytes on the disk, then what a properly sealed and signed one must not say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

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
NONE = "np.zeros(len(rows), bool)"


def shape(name: str, held: str, instead: str = "if False:") -> Check:
    return check(name, "sealing.index:unpack", held, instead)


def column(name: str, held: str, instead: str = "if False:") -> Check:
    return check(name, "sealing.index:_check_columns", held, instead)


def whole(name: str, held: str, instead: str = "if False:") -> Check:
    return check(name, "sealing.index:check", held, instead)


def unpacked(name: str, held: str, instead: str = "if False:") -> Check:
    return check(name, "sealing.index:_unpacked", held, instead)


def place(name: str, held: str, instead: str) -> Check:
    return check(name, "sealing.index:_check_place", held, instead)


KIND = unpacked("a column of its own type", " or kind[0] != wanted", "")
LENGTH_OF_COLUMN = unpacked("columns of one length", "if len(data) != count * width:")
LETTERS = check(
    "record ids are plain",
    "sealing.index:_check_letters",
    "if not _FIRST[letters[:, 0]].all() or not _REST[letters].all():",
)
GAP = check(
    "record ids end once",
    "sealing.index:_check_letters",
    "if ((letters[:, :-1] == 0) & (letters[:, 1:] != 0)).any():",
)
LANGUAGE = column(
    "a language is a tag",
    'if not all(LANGUAGE.fullmatch(language) for language in rows.names["language"]):',
)
CODE = column(
    "a code stands for a name",
    "if len(rows) and int(rows.columns[name].max()) >= len(rows.names[name]):",
)
NAMES_TWICE = column("no name twice", "if len(set(rows.names[name])) != len(rows.names[name]):")
FORM = shape("format of the index", 'held["format"] != FORMAT or ', "")
COLUMNS = shape("exactly these columns", "set(columns) != set(COLUMNS) or ", "")
COUNT = whole("records counted by the manifest", "if len(rows) != manifest.records:")
TWICE = whole("no record twice", "if rows.twice() is not None:")
PEOPLE = whole("the people of index and manifest", "if set(rows.counts()) != set(manifest.subjects):")
KEY = whole("a key of the record's subject", 'rows.columns["key"] >= keys[rows.columns["subject"]]', NONE)
OVERLAP = check("no record over another", "sealing.index:_check_overlap", "if over.any():")
LENGTH = place("a possible length", "(length < OVERHEAD) | (length > MAX_SEALED_BYTES)", NONE)
SAMPLES = place("a possible number of samples", "(samples == 0) | (samples > MAX_SAMPLES)", NONE)
SHARD = place("a shard that exists", "shard >= len(manifest.shards)", NONE)
INSIDE = place("inside its shard", "(offset > ends) | (length > ends - offset)", NONE)
VERSION = check("additional data of the index binds the version", "records:index_aad", ", version]", "]")
DATASET = check("additional data of the index binds the dataset", "records:index_aad", ", dataset,", ",")


def columns(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Other columns, properly sealed and signed."""

    def damage(corpus: Corpus) -> None:
        said, columns = index.split(index.pack(corpus.rows()))
        held = {**said, "columns": {name: [*kind, bytes(data)] for name, (*kind, data) in columns.items()}}
        change(held)
        corpus.sign_index(corpus.seal_index(index.join(held, held.pop("columns"))))

    return damage


def column_of(name: str, change: Callable[[list[Any]], list[Any]]) -> Damage:
    """Another ``[type, packed, bytes]`` in one column's place."""
    return columns(lambda held: held["columns"].update({name: change(held["columns"][name])}))


def gap(column: list[Any]) -> list[Any]:
    """``u0`` becomes ``u``, end, ``0``; the others are ended twice."""
    return ["S3", 0, b"u\x000u1\0u2\0u3\0"]


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
    "a column more": (columns(lambda held: held["columns"].update(name=["u1", 0, bytes(4)])), INVALID, COLUMNS),
    "a column cut": (column_of("characters", lambda c: [*c[:2], c[2] + c[2]]), INVALID, LENGTH_OF_COLUMN),
    "numbers are text": (column_of("characters", lambda c: ["S1", 0, b"1234"]), INVALID, KIND),
    "a code of no name": (columns(lambda held: held["names"].update(language=[])), INVALID, CODE),
    "a name twice": (columns(lambda held: held["names"].update(language=["en", "en"])), INVALID, NAMES_TWICE),
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
    "key number too high": (rows(at(0, key=1)), INVALID, KEY),
    "record id collides by case": (rows(at(0, record="U1")), INVALID, LETTERS),
    "record id is not ASCII": (rows(at(0, record="u１")), INVALID, LETTERS),
    "record id ends twice": (column_of("record", gap), INVALID, GAP),
    "short tag": (column_of("tag", lambda c: ["t16", 0, c[2][:-16]]), INVALID, LENGTH_OF_COLUMN),
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
