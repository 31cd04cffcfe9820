"""One holder at a time, decided by the kernel: a lock ends with its process, however that dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.errors import Conflict

UNNAMED = -1  # somebody holds the lock, and has not written yet who


@contextmanager
def only_one(path: Path, who: str) -> Iterator[None]:
    """Hold ``path`` for the block. Raises Conflict at once when somebody else holds it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.pread(handle, 32, 0).decode(errors="replace").strip()
            raise Conflict(
                f"{who} is already at work here (pid {other or 'unknown'})",
                code="up.already",
                mend="wait for it, or look at: sandbox status",
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def holder(path: Path) -> int:
    """The pid that holds ``path`` now; 0 when nobody does. Just after it was taken it may be :data:`UNNAMED`, or the
    pid of one that was killed while it held it.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return 0
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(handle, 32, 0).decode(errors="replace").strip()
        return int(text) if text.isdigit() else UNNAMED
    finally:
        os.close(handle)
    return 0
