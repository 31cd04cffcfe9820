"""The index of a dataset's version: one row a record, as msgpack columns, sealed under the dataset's index key.

Nothing personal stands here: what lies in the index survives a subject's erasure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import pairwise
from typing import Any

import msgpack

from sandbox.errors import SealBroken
from sandbox.records import FORMAT, TAG_BYTES, IndexRow, Manifest, check_id
from sandbox.sealing.records import MAX_SEALED_BYTES, OVERHEAD

COLUMNS = tuple(field.name for field in fields(IndexRow))
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")  # BCP 47, the part of it that corpora use
MAX_INDEX_BYTES = 512 << 20
MAX_SAMPLES = 1 << 31
_NUMBERS = ("revision", "shard", "offset", "length", "samples", "sample_rate", "characters", "key")


def pack(rows: Iterable[IndexRow]) -> bytes:
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for row in rows:
        for name in COLUMNS:
            columns[name].append(getattr(row, name))
    return bytes(msgpack.packb({"format": FORMAT, **columns}))


def unpack(data: bytes) -> list[IndexRow]:
    """Rows as they stand; :func:`check` decides whether they may be used.

    Raises:
        SealBroken: a column is missing, unknown, of another length, or holds a value of another type or form.
    """
    try:
        columns = msgpack.unpackb(data, raw=False)
        form = columns.pop("format")
        if form != FORMAT or set(columns) != set(COLUMNS):
            raise ValueError
        _check_columns(columns)
        return [IndexRow(*values) for values in zip(*(columns[name] for name in COLUMNS), strict=True)]
    except Exception:  # noqa: BLE001 - authentic, but not an index: every way to fail means the same
        raise SealBroken(
            "the index is authentic, but its columns are not", code="seal.index_invalid"
        ) from None


def _check_columns(columns: Mapping[str, Any]) -> None:
    """Column by column, each distinct value once: an index may have a million rows. Raises anything."""
    if any(type(column) is not list for column in columns.values()):
        raise ValueError
    for name in _NUMBERS:
        if set(map(type, columns[name])) - {int} or min(columns[name], default=0) < 0:
            raise ValueError
    for record in columns["record"]:
        check_id("record", record)
    for subject in set(columns["subject"]):
        check_id("subject", subject)
    if any(type(tag) is not bytes or len(tag) != TAG_BYTES for tag in columns["tag"]):
        raise ValueError
    if not all(LANGUAGE.fullmatch(language) for language in set(columns["language"])):
        raise ValueError


def check(rows: Sequence[IndexRow], manifest: Manifest, wraps: dict[str, list[str]]) -> None:
    """Every row lies inside its shard, none lies over another, and all together are what the manifest counts.

    Raises:
        SealBroken: the first fault found.
    """
    if len(rows) != manifest.records:
        raise SealBroken(f"the index has {len(rows)} records, the manifest counts {manifest.records}")
    if len({row.record for row in rows}) != len(rows):
        raise SealBroken("a record stands twice in the index", code="seal.index_invalid")
    if {row.subject for row in rows} != set(manifest.subjects):
        raise SealBroken("index and manifest name different subjects", code="seal.index_invalid")
    for row in rows:
        _check_place(row, manifest)
        if row.key >= len(wraps[row.subject]):
            raise SealBroken(f"record {row.record} names a data key of nobody", code="seal.index_invalid")
    placed = sorted(rows, key=lambda row: (row.shard, row.offset))
    for before, after in pairwise(placed):
        if before.shard == after.shard and before.offset + before.length > after.offset:
            raise SealBroken(f"records {before.record} and {after.record} overlap", code="seal.index_invalid")


def _check_place(row: IndexRow, manifest: Manifest) -> None:
    if not OVERHEAD <= row.length <= MAX_SEALED_BYTES or not 0 < row.samples <= MAX_SAMPLES:
        raise SealBroken(f"record {row.record} has an impossible length", code="seal.index_invalid")
    if row.shard >= len(manifest.shards) or row.offset + row.length > manifest.shards[row.shard].size:
        raise SealBroken(f"record {row.record} lies outside its shard", code="seal.index_invalid")
