"""Where sealed objects lie: each is published whole and never overwritten.

``Source`` is all that a reader needs, ``Store`` what a writer needs besides. :class:`Folder` keeps plain files; a
bucket (:mod:`sandbox.storage`, on the host alone) stands in its place.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from sandbox.errors import Conflict, SandboxError, SealBroken, Unreachable

FILE_MODE = 0o644  # ciphertext; the container's own user reads it. The folder above keeps others out.
FOLDER_MODE = 0o755


class Source(Protocol):
    """Reads objects by name. Names are made by :mod:`sandbox.sealing`, never taken from the outside."""

    def names(self, folder: str) -> list[str]: ...

    def size(self, name: str) -> int:
        """Bytes; raises SealBroken when the object is missing, or is a link, pipe or folder."""
        ...

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes; raises SealBroken when there are fewer."""
        ...


class Pending(Protocol):
    """Bytes on their way to become an object; without a name until ``publish``, gone after ``discard``."""

    def write(self, data: bytes) -> int: ...

    def publish(self, name: str) -> None:
        """Durable under ``name`` when this returns; raises Conflict when the name is taken."""
        ...

    def discard(self) -> None: ...


class Store(Source, Protocol):
    """Takes objects too. Every call raises Unreachable when the storage fails, and may then be made again."""

    def publish(self, name: str, data: bytes) -> None:
        """Write an object that did not exist; durable when this returns.

        Raises Conflict when the name is taken; where an answer can be lost, not for the very same bytes.
        """
        ...

    def partial(self, folder: str) -> Pending:
        """An object of ``folder`` whose name, its content's digest, is known when all of it is written."""
        ...

    def discard(self, name: str) -> None:
        """Remove an object that no head names; none is fine too."""
        ...


def read_whole(source: Source, name: str, limit: int) -> bytes:
    """A small object's bytes; its size is checked before anything is read."""
    size = source.size(name)
    if size > limit:
        raise SealBroken(f"{name} has {size} bytes, more than the {limit} that its kind may have")
    return source.read(name, 0, size)


class Folder:
    """Objects as files under ``root``."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)

    def names(self, folder: str) -> list[str]:
        try:
            names = [entry.name for entry in (self.root / folder).iterdir()]
            return sorted(name for name in names if not name.startswith("."))
        except FileNotFoundError:
            return []

    def size(self, name: str) -> int:
        try:
            found = (self.root / name).lstat()
        except OSError:
            raise SealBroken(f"object {name} is missing", code="seal.object_missing") from None
        # A link leads out of the folder, a pipe makes its reader wait for ever.
        if not stat.S_ISREG(found.st_mode):
            raise SealBroken(f"object {name} is no plain file", code="seal.object_foreign")
        return found.st_size

    def read(self, name: str, offset: int, length: int) -> bytes:
        try:
            handle = os.open(self.root / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            raise SealBroken(f"object {name} is missing", code="seal.object_missing") from None
        try:
            data = _pread(handle, offset, length)
        except OSError as fault:
            raise Unreachable(f"{name} cannot be read: {os.strerror(fault.errno or 0)}") from None
        finally:
            os.close(handle)
        if len(data) != length:
            raise SealBroken(f"{name} ends early", code="seal.object_truncated")
        return data

    def publish(self, name: str, data: bytes) -> None:
        """Write an object that did not exist; durable when this returns.

        Raises:
            Conflict: the name is taken.
        """
        partial = self.partial(str(Path(name).parent))
        try:
            partial.write(data)
            partial.publish(name)
        except BaseException:
            partial.discard()
            raise

    def partial(self, folder: str) -> Partial:
        """A nameless file in ``folder`` that becomes an object when it is published."""
        try:
            for place in (self.root, self.root / folder):
                place.mkdir(exist_ok=True)
                place.chmod(FOLDER_MODE)  # whatever the umask is
            return Partial(self.root, self.root / folder / f".partial-{secrets.token_hex(8)}")
        except OSError as fault:
            raise storage_fault(fault) from None

    def discard(self, name: str) -> None:
        """Remove an object that no head names."""
        (self.root / name).unlink(missing_ok=True)


class Partial:
    """Bytes on their way to become an object."""

    def __init__(self, root: Path, path: Path) -> None:
        self._root = root
        self._path = path
        self._file = open(path, "xb")  # noqa: SIM115 - closed by publish or discard
        os.fchmod(self._file.fileno(), FILE_MODE)

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError as fault:
            raise storage_fault(fault) from None

    def publish(self, name: str) -> None:
        """fsync, then link: a link never replaces, so an object is immutable even between two writers."""
        target = self._root / name
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            os.link(self._path, target)
            self._path.unlink()
            sync_folder(target.parent)
        except FileExistsError:
            self._path.unlink(missing_ok=True)
            raise Conflict(f"object {name} exists already", code="seal.object_exists") from None
        except OSError as fault:
            raise storage_fault(fault) from None

    def discard(self) -> None:
        with suppress(OSError):  # a full disk also fails the last flush; the bytes are going away anyway
            self._file.close()
        self._path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename or link in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def storage_fault(fault: OSError) -> SandboxError:
    """What a failed write means to the caller."""
    reason = os.strerror(fault.errno) if fault.errno else "write failed"
    return Unreachable(
        f"sealed storage: {reason}", code="storage.failed", mend="make room or mend the disk, then seal again"
    )


def _pread(handle: int, offset: int, length: int) -> bytes:
    parts = []
    while length > 0:
        part = os.pread(handle, length, offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return b"".join(parts)
