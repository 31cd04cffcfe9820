"""The index of a dataset's version: one row a record, as packed columns, sealed under the dataset's index key.

Nothing personal stands here: what lies in the index survives a subject's erasure. Plain bytes: u32 length
(big-endian) | msgpack map | the columns' bytes, each from a multiple of 8 on, so that they are used where they lie.
The map: ``format``, ``rows``, ``names`` ({subject, language}: what their codes stand for) and ``columns`` (by field,
in order: [type, packed, length]); types are ``u1 u2 u4 u8`` (little-endian), ``S<n>`` (records), ``t16`` (tags);
packed 1 is zlib.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgpack
import numpy as np

from sandbox.errors import SealBroken
from sandbox.records import FORMAT, TAG_BYTES, IndexRow, Manifest, check_id
from sandbox.sealing.records import MAX_SEALED_BYTES, OVERHEAD
from sandbox.sealing.rows import CODED, COLUMNS, Column, Rows

LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")  # BCP 47, the part of it that corpora use
MAX_INDEX_BYTES = 512 << 20
MAX_ROWS = 1 << 24
MAX_SAMPLES = 1 << 31
_KIND = re.compile(r"u([1248])|S([1-9]|[1-5][0-9]|6[0-4])|t(16)")
_ALIGNED = 8
_TRIED = 1 << 16  # bytes that show whether packing is worth it
_FIRST, _REST = (
    np.isin(np.arange(256), list(letters))
    for letters in (b"abcdefghijklmnopqrstuvwxyz0123456789", b"abcdefghijklmnopqrstuvwxyz0123456789_-\0")
)


def pack(rows: Rows | Iterable[IndexRow]) -> bytes:
    held = rows if isinstance(rows, Rows) else Rows.of(rows)
    columns = {name: _packed(held.columns[name]) for name in COLUMNS}
    names = {name: list(held.names[name]) for name in CODED}
    return join({"format": FORMAT, "rows": len(held), "names": names}, columns)


def join(said: Mapping[str, Any], columns: Mapping[str, tuple[str, int, bytes]]) -> bytes:
    """An index's plain bytes from its map but for the columns, and ``(type, packed, bytes)`` of each."""
    told = {name: [kind, packed, len(data)] for name, (kind, packed, data) in columns.items()}
    head = msgpack.packb({**said, "columns": told})
    pieces = [len(head).to_bytes(4, "big"), head, bytes(-(4 + len(head)) % _ALIGNED)]
    for _, _, data in columns.values():
        pieces += [data, bytes(-len(data) % _ALIGNED)]
    return b"".join(pieces)


def split(data: bytes) -> tuple[dict[str, Any], dict[str, tuple[str, int, memoryview]]]:
    """What :func:`join` took. Raises anything."""
    place = 4 + int.from_bytes(data[:4], "big")
    said = msgpack.unpackb(data[4:place], raw=False)
    columns = {}
    for name, (kind, packed, length) in said.pop("columns").items():
        place += -place % _ALIGNED
        if type(length) is not int or not 0 <= length <= len(data) - place:
            raise ValueError
        columns[name] = (kind, packed, memoryview(data)[place : place + length])
        place += length
    if len(data) != place + -place % _ALIGNED:
        raise ValueError
    return said, columns


def _packed(column: Column) -> tuple[str, int, bytes]:
    """zlib only where it halves the bytes: tags, ids and lengths would cost time and stay as they are."""
    kind = {"u": f"u{column.itemsize}", "S": f"S{column.itemsize}"}[column.dtype.kind]
    if column.ndim == 2:  # tags, the only column of two dimensions
        kind = f"t{TAG_BYTES}"
    data = np.ascontiguousarray(column).tobytes()
    if 2 * len(zlib.compress(data[:_TRIED], 1)) < len(data[:_TRIED]):
        return kind, 1, zlib.compress(data, 1)
    return kind, 0, data


def unpack(data: bytes) -> Rows:
    """Rows as they stand; :func:`check` decides whether they may be used.

    Raises:
        SealBroken: a column is missing, unknown, of another length, or holds a value of another type or form.
    """
    try:
        held, columns = split(data)
        count, names = held["rows"], held["names"]
        if held["format"] != FORMAT or set(columns) != set(COLUMNS) or set(names) != set(CODED):
            raise ValueError
        if type(count) is not int or not 0 <= count <= MAX_ROWS:
            raise ValueError
        found = {name: _unpacked(name, count, *columns.pop(name)) for name in COLUMNS}
        rows = Rows(found, {name: tuple(listed) for name, listed in names.items()})
        _check_columns(rows)
        return rows
    except Exception:  # noqa: BLE001 - authentic, but not an index: every way to fail means the same
        raise SealBroken(
            "the index is authentic, but its columns are not", code="seal.index_invalid"
        ) from None


def _unpacked(name: str, count: int, kind: str, packed: int, data: bytes | memoryview) -> Column:
    """One column of ``count`` rows. Raises anything."""
    found = _KIND.fullmatch(kind)
    wanted = {"record": "S", "tag": "t"}.get(name, "u")
    if found is None or kind[0] != wanted:
        raise ValueError
    width = int(kind[1:])
    if packed:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(data, count * width + 1)
    if len(data) != count * width:
        raise ValueError
    if wanted == "t":
        return np.frombuffer(data, np.uint8).reshape(-1, width)
    return np.frombuffer(data, f"<u{width}" if wanted == "u" else kind)


def _check_columns(rows: Rows) -> None:
    """Each distinct value once, and records by their letters: an index may have a million rows. Raises anything."""
    for name in CODED:
        if len(rows) and int(rows.columns[name].max()) >= len(rows.names[name]):
            raise ValueError
        if len(set(rows.names[name])) != len(rows.names[name]):
            raise ValueError
    for subject in rows.names["subject"]:
        check_id("subject", subject)
    if not all(LANGUAGE.fullmatch(language) for language in rows.names["language"]):
        raise ValueError
    records = rows.columns["record"]
    for start in range(0, len(records), _TRIED):
        piece = records[start : start + _TRIED]
        _check_letters(piece.view(np.uint8).reshape(len(piece), -1))


def _check_letters(letters: Column) -> None:
    """``[N, width]`` of a record's letters, zeros behind: what ``check_id`` says of one, of all. Raises anything."""
    if not _FIRST[letters[:, 0]].all() or not _REST[letters].all():
        raise ValueError
    if ((letters[:, :-1] == 0) & (letters[:, 1:] != 0)).any():
        raise ValueError


def check(rows: Rows, manifest: Manifest, wraps: Mapping[str, list[str]]) -> None:
    """Every row lies inside its shard, none lies over another, and all together are what the manifest counts.

    Raises:
        SealBroken: the first fault found.
    """
    if len(rows) != manifest.records:
        raise SealBroken(f"the index has {len(rows)} records, the manifest counts {manifest.records}")
    if rows.twice() is not None:
        raise SealBroken("a record stands twice in the index", code="seal.index_invalid")
    if set(rows.counts()) != set(manifest.subjects):
        raise SealBroken("index and manifest name different subjects", code="seal.index_invalid")
    _check_place(rows, manifest)
    keys = np.array([len(wraps[subject]) for subject in rows.names["subject"]] or [0])
    _refuse(rows, rows.columns["key"] >= keys[rows.columns["subject"]], "names a data key of nobody")
    _check_overlap(rows, manifest)


def _check_place(rows: Rows, manifest: Manifest) -> None:
    shard, offset, length = (rows.columns[name] for name in ("shard", "offset", "length"))
    _refuse(rows, (length < OVERHEAD) | (length > MAX_SEALED_BYTES), "has an impossible length")
    samples = rows.columns["samples"]
    _refuse(rows, (samples == 0) | (samples > MAX_SAMPLES), "has an impossible number of samples")
    _refuse(rows, shard >= len(manifest.shards), "lies in no shard")
    sizes = np.array([shard.size for shard in manifest.shards] or [0], np.uint64)
    ends = sizes[shard]
    _refuse(rows, (offset > ends) | (length > ends - offset), "lies outside its shard")


def _check_overlap(rows: Rows, manifest: Manifest) -> None:
    """All shards on one line, one behind the other; ``begin`` is a row's place on it. Comes after the places."""
    sizes = np.array([0, *(shard.size for shard in manifest.shards)], np.uint64)
    begin = np.cumsum(sizes)[rows.columns["shard"]] + rows.columns["offset"]
    order = np.argsort(begin, kind="stable") if (begin[1:] < begin[:-1]).any() else np.arange(len(begin))
    begin = begin[order]
    over = begin[:-1] + rows.columns["length"][order[:-1]] > begin[1:]
    if over.any():
        at = int(over.argmax())
        one, other = rows[int(order[at])].record, rows[int(order[at + 1])].record
        raise SealBroken(f"records {one} and {other} overlap", code="seal.index_invalid")


def _refuse(rows: Rows, bad: Column, why: str) -> None:
    if bad.any():
        raise SealBroken(f"record {rows[int(bad.argmax())].record} {why}", code="seal.index_invalid")
