"""Files of Party A's own: whole or not at all, for their owner alone (0600)."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sandbox.errors import Usage


def write_private(path: Path, data: bytes, *, replace: bool = False) -> None:
    with private_file(path, replace=replace) as file:
        file.write(data)


@contextlib.contextmanager
def private_file(path: Path, *, replace: bool = False) -> Iterator[BinaryIO]:
    """A file that gets its name when the block ends well, and leaves nothing when it does not.

    Raises:
        Usage: it cannot be written, or is there already and may not be replaced.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        handle = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if replace:
                partial.replace(path)
            else:
                os.link(partial, path)  # fails where something is; a rename would not
        finally:
            partial.unlink(missing_ok=True)
    except FileExistsError:
        raise Usage(f"{path} is already there", code="file.exists", mend="name another file") from None
    except OSError as fault:
        raise Usage(
            f"{path} cannot be written: {os.strerror(fault.errno or 0)}", code="file.unwritable"
        ) from None
