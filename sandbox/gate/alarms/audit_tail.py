"""Reading a growing file on: where one stopped, across rotation, half-written lines and a file that was replaced.

A rotated file is known by its inode and is read to its end before the next one is begun. What cannot be followed is
said in ``notes``, never passed over: ``lost`` (the file that we were in is gone), ``cut`` (it is shorter than it was).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHUNK_BYTES = 4 << 20
#: No line of Vault's is longer; what is, is junk and is passed over whole.
LINE_BYTES = 2 << 20


@dataclass(frozen=True)
class Taken:
    """Whole lines in order, without their ends; the position behind them; whether more is waiting."""

    lines: tuple[bytes, ...]
    position: dict[str, Any]
    notes: tuple[str, ...] = ()
    more: bool = False
    junk: int = 0  # lines too long to be any


@dataclass
class _Reading:
    lines: list[bytes] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    junk: int = 0


def read_on(path: Path, position: Mapping[str, Any], most_bytes: int = CHUNK_BYTES) -> Taken:
    """What was written behind ``position`` (empty: from the start of the oldest file), about ``most_bytes`` of it.

    Raises OSError when the file is not there or cannot be read.
    """
    files = _files(path)
    inodes = [inode for inode, _ in files]
    found = _Reading()
    inode, offset = position.get("inode"), int(position.get("offset", 0))
    if inode is None:
        inode, offset = inodes[0], 0
    elif inode not in inodes:
        found.notes.append("lost")
        inode, offset = inodes[0], 0  # what was read before is read again: nothing is found twice
    here = inodes.index(inode)
    left = most_bytes
    while True:
        newest = here == len(files) - 1
        read, offset, at_end = _take(files[here][1], offset, left, found, whole=not newest)
        left -= read
        if newest or not at_end or left <= 0:
            more = not at_end or not newest
            end = {"inode": inodes[here], "offset": offset}
            return Taken(tuple(found.lines), end, tuple(found.notes), more, found.junk)
        here, offset = here + 1, 0


def _files(path: Path) -> list[tuple[int, Path]]:
    """Inode and name of each file, oldest first; the one that is written to is the last. Raises OSError."""
    rotated = [one for one in path.parent.glob(f"{path.name}.*") if one.is_file()]
    ordered = sorted(rotated, key=lambda one: one.stat().st_mtime_ns)
    return [(one.stat().st_ino, one) for one in (*ordered, path)]


def _take(path: Path, offset: int, most: int, found: _Reading, *, whole: bool) -> tuple[int, int, bool]:
    """Bytes read, the offset behind the last whole line, whether nothing more is there.

    ``whole``: nothing is written to this file any more, so what stands behind its last line end is a line, too.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < offset:
            found.notes.append("cut")
            offset = 0
        file.seek(offset)
        data = file.read(max(most, LINE_BYTES))
    end = data.rfind(b"\n") + 1
    at_end = offset + len(data) >= size
    if whole and at_end:
        end = len(data)
    elif not end and len(data) >= LINE_BYTES:
        found.junk += 1
        end = len(data)
    found.lines += [line for line in data[:end].split(b"\n") if line]
    return len(data), offset + end, at_end
