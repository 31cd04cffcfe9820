"""Files that the gate reads: written whole or not at all, readable by the gate's group (the folder is setgid)."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from sandbox.errors import Unreachable
from sandbox.sealing.storage import sync_folder

SHARED = 0o640
PRIVATE = 0o600


def write_file(path: Path, data: bytes, mode: int = SHARED) -> None:
    """Replace ``path`` by ``data``, durably.

    Raises:
        Unreachable: the disk refused; what was there before is untouched.
    """
    partial = path.parent / f".partial-{secrets.token_hex(8)}"
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
        sync_folder(path.parent)
    except OSError as fault:
        partial.unlink(missing_ok=True)
        raise Unreachable(
            f"the custodian's disk: {os.strerror(fault.errno or 0)}", code="storage.failed", mend="make room"
        ) from None
