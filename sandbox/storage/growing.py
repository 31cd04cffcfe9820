"""A shard on its way into a bucket."""

from __future__ import annotations

import hashlib
import os
from typing import IO, Protocol

from sandbox.sealing.storage import storage_fault


class Taker(Protocol):
    """Puts a file's bytes under a name that is free; :class:`sandbox.storage.bucket.Bucket` fits."""

    def put_file(self, name: str, file: IO[bytes], size: int, digest: str) -> None: ...


class Growing:
    """It grows in a file without a name, of ciphertext, which no crash can leave."""

    def __init__(self, bucket: Taker, file: IO[bytes]) -> None:
        self._bucket, self._file = bucket, file
        self._digest, self._size = hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        try:
            self._file.write(data)
        except OSError as fault:
            raise storage_fault(fault) from None
        self._digest.update(data)
        self._size += len(data)
        return len(data)

    def publish(self, name: str) -> None:
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._bucket.put_file(name, self._file, self._size, self._digest.hexdigest())
        except OSError as fault:
            raise storage_fault(fault) from None
        finally:
            self._file.close()

    def discard(self) -> None:
        self._file.close()
