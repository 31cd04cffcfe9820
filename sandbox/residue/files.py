"""Byte sources, opened one at a time: regular files, swap devices, files deleted but still open, memory."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

_SPAN = 32 << 20


class Opened(NamedTuple):
    """One source; ``file`` is None where it was there, but closed to us."""

    name: str
    file: BinaryIO | None


def regular(roots: Iterable[Path], skip: Iterable[Path], only: tuple[str, ...]) -> Iterator[Opened]:
    """Regular files and block devices below ``roots`` (or the roots themselves), never through a symbolic link."""
    skipped = {path.resolve() for path in skip}
    for root in roots:
        if not root.is_dir():
            yield from _opened(root)
            continue
        for parent, folders, names in os.walk(root):
            folders[:] = [name for name in folders if Path(parent, name).resolve() not in skipped]
            for name in names:
                if not only or name.endswith(only):
                    yield from _opened(Path(parent, name))


def deleted(pids: Iterable[int]) -> Iterator[Opened]:
    """What has no name any more and lives on because a process holds it open: files, and shared memory of memfd."""
    seen = set[tuple[int, int]]()
    for pid in pids:
        for path in _listed(Path(f"/proc/{pid}/fd")):
            try:
                facts = path.stat()
                gone = str(path.readlink()).endswith(" (deleted)")
            except OSError:
                continue
            if gone and stat.S_ISREG(facts.st_mode) and (facts.st_dev, facts.st_ino) not in seen:
                seen.add((facts.st_dev, facts.st_ino))
                yield from _opened(path, follow=True)


def memory(pids: Iterable[int]) -> Iterator[Opened]:
    """Writable memory of processes."""
    for pid in pids:
        try:
            with open(f"/proc/{pid}/maps") as maps:
                spans = [line.split()[0] for line in maps if line.split()[1].startswith("rw")]
            handle = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
        except OSError:
            yield Opened(f"process {pid}", None)
            continue
        try:
            for span in spans:
                start, end = (int(x, 16) for x in span.split("-"))
                for at in range(start, end, _SPAN):
                    try:
                        yield Opened(f"process {pid}", io.BytesIO(os.pread(handle, min(_SPAN, end - at), at)))
                    except OSError:
                        continue  # a mapping of a device, or gone
        finally:
            os.close(handle)


def _opened(path: Path, follow: bool = False) -> Iterator[Opened]:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        kind = (path.stat() if follow else path.lstat()).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISBLK(kind)):
            return
        with open(os.open(path, flags), "rb") as file:
            yield Opened(str(path), file)
    except FileNotFoundError:
        return
    except OSError:
        yield Opened(str(path), None)


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
