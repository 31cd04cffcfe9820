"""The rows of an index as columns: a million of them take 50 MB, where a million objects take ten times as much.

Numbers stand in the smallest unsigned type that holds them; people and languages as codes into a list of names.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from sandbox.records import TAG_BYTES, IndexRow

Column = NDArray[Any]
NUMBERS = ("revision", "shard", "offset", "length", "samples", "sample_rate", "characters", "key")
CODED = ("subject", "language")
COLUMNS = tuple(field.name for field in fields(IndexRow))
_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no bit of a word is lost
_WORD = 8  # bytes
_PIECE = 4096  # rows made at once
_HASHED = 1 << 16  # rows hashed at once


@dataclass(frozen=True, eq=False)
class Rows(Sequence[IndexRow]):
    """``columns`` by field, N rows each: numbers and codes ``[N]``, ``record`` ``[N]`` of ASCII, ``tag`` ``[N, 16]``.

    ``names`` lists, for each of ``CODED``, what its codes stand for. A column may not be written to.
    """

    columns: Mapping[str, Column]
    names: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, rows: Iterable[IndexRow]) -> Rows:
        """Raises OverflowError when a number is negative."""
        held = list(rows)
        columns: dict[str, Column] = {
            name: smallest([getattr(row, name) for row in held]) for name in NUMBERS
        }
        names = {name: tuple(sorted({getattr(row, name) for row in held})) for name in CODED}
        for name, listed in names.items():
            code = {value: number for number, value in enumerate(listed)}
            columns[name] = smallest([code[getattr(row, name)] for row in held])
        columns["record"] = np.array([row.record.encode("ascii", "replace") for row in held], dtype="S")
        tags = b"".join(row.tag for row in held)
        columns["tag"] = np.frombuffer(tags, np.uint8).reshape(len(held), TAG_BYTES)
        return cls(columns, names)

    def __len__(self) -> int:
        return len(self.columns["record"])

    @overload
    def __getitem__(self, at: int) -> IndexRow: ...

    @overload
    def __getitem__(self, at: slice) -> Rows: ...

    def __getitem__(self, at: int | slice) -> IndexRow | Rows:
        if isinstance(at, slice):
            return Rows({name: column[at] for name, column in self.columns.items()}, self.names)
        values = {name: self.columns[name].item(at) for name in NUMBERS}
        return IndexRow(
            record=self.columns["record"][at].decode(),
            subject=self.names["subject"][self.columns["subject"][at]],
            language=self.names["language"][self.columns["language"][at]],
            tag=self.columns["tag"][at].tobytes(),
            **values,
        )

    def __iter__(self) -> Iterator[IndexRow]:
        for start in range(0, len(self), _PIECE):
            piece = {name: column[start : start + _PIECE].tolist() for name, column in self.columns.items()}
            piece |= {name: [self.names[name][code] for code in piece[name]] for name in CODED}
            piece["record"] = [record.decode() for record in piece["record"]]
            piece["tag"] = map(bytes, piece["tag"])
            yield from map(IndexRow, *(piece[name] for name in COLUMNS))

    def where(self, mask: Column) -> Rows:
        """Those rows alone, ``mask`` being ``[N]`` of bool or rows' numbers. Who has none left is not named either."""
        columns, names = {name: column[mask] for name, column in self.columns.items()}, dict(self.names)
        for name in CODED:
            used = np.bincount(columns[name], minlength=len(names[name])) > 0
            columns[name] = (
                smallest(np.maximum(np.cumsum(used) - 1, 0))[columns[name]] if used.any() else columns[name]
            )
            names[name] = tuple(value for value, is_used in zip(names[name], used, strict=True) if is_used)
        return Rows(columns, names)

    def hours(self) -> float:
        seconds = self.columns["samples"] / np.maximum(self.columns["sample_rate"], 1)
        return round(float(seconds.sum()) / 3600, 6)

    def records(self) -> Iterator[str]:
        return (record.decode() for record in self.columns["record"])

    def of_subjects(self, subjects: Iterable[str]) -> Column:
        """A mask ``[N]``: whose rows these are."""
        wanted = set(subjects)
        return np.array([name in wanted for name in self.names["subject"]] or [False])[
            self.columns["subject"]
        ]

    def counts(self) -> dict[str, int]:
        """Rows of each subject that has any."""
        found = np.bincount(self.columns["subject"], minlength=len(self.names["subject"]))
        return {name: int(count) for name, count in zip(self.names["subject"], found, strict=True) if count}

    def changed(self, **columns: Column) -> Rows:
        return Rows({**self.columns, **{n: smallest(column) for n, column in columns.items()}}, self.names)

    def extended(self, added: Iterable[IndexRow]) -> Rows:
        """These rows, then ``added``."""
        more, columns, names = Rows.of(added), {}, dict(self.names)
        for name in COLUMNS:
            behind = more.columns[name]
            if name in CODED:
                names[name] = tuple(dict.fromkeys((*self.names[name], *more.names[name])))
                place = {value: number for number, value in enumerate(names[name])}
                behind = smallest([place[value] for value in more.names[name]])[behind]
            columns[name] = np.concatenate([self.columns[name], behind])
        return Rows(columns, names)

    def find(self, record: str) -> int | None:
        """Which row is that record's."""
        if not record.isascii() or not 0 < len(record) <= self.columns["record"].itemsize:
            return None
        wanted, (hashes, order) = record.encode(), self._sorted
        hashed = _hash(wanted, self.columns["record"].itemsize)
        place = int(hashes.searchsorted(hashed))
        while place < len(hashes) and hashes[place] == hashed:
            if self.columns["record"][order[place]] == wanted:
                return int(order[place])
            place += 1
        return None

    def twice(self) -> str | None:
        """A record that stands here more than once."""
        hashes = np.sort(_hashes(self.columns["record"]))
        if not (hashes[1:] == hashes[:-1]).any():
            return None
        seen: set[bytes] = set()
        for record in self.columns["record"]:  # two of one hash need not be one record
            if record in seen:
                return str(record.decode())
            seen.add(record)
        return None

    @cached_property
    def _sorted(self) -> tuple[Column, Column]:
        """The records' hashes in order, and which row each is of; equal hashes are told apart by the records."""
        hashes = _hashes(self.columns["record"])
        order = np.argsort(hashes).astype(np.uint32)
        return hashes[order], order


def smallest(values: Sequence[int] | Column) -> Column:
    """As the smallest unsigned type that holds all of them. Raises OverflowError for a negative or an enormous one."""
    if isinstance(values, np.ndarray):
        low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    else:
        low, high = min(values, default=0), max(values, default=0)
    if low < 0 or high >> 64:
        raise OverflowError("no column holds such a number")
    return np.asarray(values, dtype=np.min_scalar_type(high))


def _hashes(records: Column) -> Column:
    """``[N]`` of uint64 for records of one width; whoever finds two alike compares the records."""
    words = -(-records.itemsize // _WORD)
    found = np.zeros(len(records), np.uint64)
    for start in range(0, len(records), _HASHED):
        piece, hashes = records[start : start + _HASHED], found[start : start + _HASHED]
        for word in piece.astype(f"S{words * _WORD}").view(np.uint64).reshape(len(piece), words).T:
            hashes *= _MIX
            hashes += word
    return found


def _hash(record: bytes, width: int) -> np.uint64:
    """That of one record among records of ``width`` bytes, without making an array of it."""
    found, padded = 0, record.ljust(-(-width // _WORD) * _WORD, b"\0")
    for start in range(0, len(padded), _WORD):
        word = int.from_bytes(padded[start : start + _WORD], sys.byteorder)
        found = (found * int(_MIX) + word) & 0xFFFF_FFFF_FFFF_FFFF
    return np.uint64(found)


NO_ROWS = Rows.of(())
