"""Writing files that evidence rests on: whole or not at all, and there after a loss of power."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

PIECE_BYTES = 1 << 22


def write_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write beside, sync, rename: a reader never sees half of it. The same bytes may be written again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    sync_folder(path.parent)


def copy_out(source: Path, place: Path, look: Callable[[], None]) -> None:
    """Copy gigabytes for a container to read, never more than a piece in memory, with a look between two pieces."""
    with (
        source.open("rb") as held,
        open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy,
    ):
        while piece := held.read(PIECE_BYTES):
            copy.write(piece)
            look()
    place.chmod(0o444)


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
