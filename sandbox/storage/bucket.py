"""Objects of one dataset under a bucket's prefix, by fsspec's S3 file system. Fits ``sealing.storage.Store``.

An object is put whole, and only where none is (``If-None-Match: *``): a store that does not know that condition must
not be used, and ``Bucket.check_conditions`` finds out. A put whose answer was lost is made again, by us or by the HTTP
library, and then finds its own object: the very same bytes are no conflict.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from fsspec.asyn import sync

from sandbox.errors import Conflict, SandboxError, SealBroken, Unreachable
from sandbox.sealing.storage import storage_fault
from sandbox.storage.growing import Growing
from sandbox.storage.patience import Answered, Fault, Patience
from sandbox.storage.settings import Location

PART_BYTES = 16 << 20
_COMPARE = 8 << 20
_SLOWEST = 1 << 20  # bytes a second; a request that moves fewer is given up


class Bucket:
    """``prefix`` has no slash at either end. ``spool`` is a folder for shards that grow; None: it only reads."""

    def __init__(
        self, system: Any, location: Location, prefix: str, patience: Patience, spool: Path | None = None
    ) -> None:
        self._system, self._bucket, self._prefix = system, location.bucket, prefix
        self._timeout_s, self._patience, self._spool = location.timeout_s, patience, spool

    def names(self, folder: str) -> list[str]:
        with self._explained(folder):
            found = [
                entry.get("Key", "")
                for page in self._pages(f"{folder}/")
                for entry in page.get("Contents", [])
            ]
        names = (key.rpartition("/")[2] for key in found)
        return sorted(name for name in names if name and not name.startswith("."))

    def folders(self) -> list[str]:
        """Names of the folders below the prefix."""
        with self._explained(self._prefix):
            found = [entry["Prefix"] for page in self._pages("") for entry in page.get("CommonPrefixes", [])]
        return sorted(prefix.rstrip("/").rpartition("/")[2] for prefix in found)

    def size(self, name: str) -> int:
        try:
            with self._explained(name):
                answer = self._call(name, "head_object", Key=self._key(name))
        except SealBroken:
            with self._explained(name):
                below = self._call(name, "list_objects_v2", Prefix=f"{self._key(name)}/", MaxKeys=1)
            if below.get("KeyCount"):
                raise SealBroken(f"object {name} is a folder", code="seal.object_foreign") from None
            raise
        if str(answer.get("ContentType", "")).startswith("application/x-directory"):
            raise SealBroken(f"object {name} is no plain object", code="seal.object_foreign")
        return int(answer["ContentLength"])

    def read(self, name: str, offset: int, length: int) -> bytes:
        if length == 0:
            return b""
        with self._explained(name):
            data = self._patience.ask(
                name,
                lambda: self._within(
                    length, "_cat_file", self._path(name), start=offset, end=offset + length
                ),
            )
        if len(data) != length:
            raise SealBroken(f"{name} ends early", code="seal.object_truncated")
        return bytes(data)

    def publish(self, name: str, data: bytes) -> None:
        def put() -> None:
            self._within(len(data), "_pipe_file", self._path(name), data, chunksize=PART_BYTES, mode="create")

        with self._explained(name):
            try:
                self._patience.ask(name, put)
            except Answered as answer:
                self._unless_ours(answer, name, len(data), hashlib.sha256(data).hexdigest())

    def partial(self, folder: str) -> Growing:  # noqa: ARG002 - a bucket has no folders
        if self._spool is None:
            raise SandboxError("this storage is opened for reading")
        try:
            self._spool.mkdir(mode=0o700, parents=True, exist_ok=True)
            return Growing(self, tempfile.TemporaryFile(dir=self._spool))
        except OSError as fault:
            raise storage_fault(fault) from None

    def put_file(self, name: str, file: IO[bytes], size: int, digest: str) -> None:
        """As ``publish``, from a file that needs no name."""
        path = f"/proc/self/fd/{file.fileno()}"

        def put() -> None:
            self._within(size, "_put_file", path, self._path(name), chunksize=PART_BYTES, mode="create")

        with self._explained(name):
            try:
                self._patience.ask(name, put)
            except Answered as answer:
                self._unless_ours(answer, name, size, digest)

    def discard(self, name: str) -> None:
        with self._explained(name):
            self._call(name, "delete_object", Key=self._key(name))

    def check_conditions(self, name: str) -> None:
        """Try to put ``name`` twice. Raises Unreachable when the store overwrites: it may not hold sealed data."""
        self.discard(name)
        try:
            self.publish(name, b"1")
            try:
                self.publish(name, b"2")
            except Conflict:
                return
            raise Unreachable(
                "the object store overwrites objects: it does not know If-None-Match",
                code="storage.overwrites",
                mend="use a store that knows conditional puts",
            )
        finally:
            self.discard(name)

    def _unless_ours(self, answer: Answered, name: str, size: int, digest: str) -> None:
        """Taken, perhaps by a put of this very object whose answer was lost: then the bytes are the same."""
        if answer.fault is not Fault.TAKEN or self.size(name) != size:
            raise answer
        found = hashlib.sha256()
        for offset in range(0, size, _COMPARE):
            found.update(self.read(name, offset, min(_COMPARE, size - offset)))
        if found.hexdigest() != digest:
            raise answer

    def _pages(self, below: str) -> Iterator[dict[str, Any]]:
        more: dict[str, str] = {}
        while True:
            prefix = f"{self._prefix}/{below}"
            page = self._call(prefix, "list_objects_v2", Prefix=prefix, Delimiter="/", **more)
            yield page
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _call(self, what: str, method: str, **arguments: Any) -> dict[str, Any]:
        made = self._patience.ask(
            what, lambda: self._within(0, "_call_s3", method, Bucket=self._bucket, **arguments)
        )
        return dict(made)

    def _within(self, size: int, method: str, *arguments: Any, **named: Any) -> Any:
        """A coroutine's result, in a time that suits ``size`` bytes: the library's own limits leave gaps."""

        async def bounded() -> Any:
            async with asyncio.timeout(self._timeout_s + size / _SLOWEST):
                return await getattr(self._system, method)(*arguments, **named)

        return sync(self._system.loop, bounded)

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}"

    def _path(self, name: str) -> str:
        return f"{self._bucket}/{self._key(name)}"

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        try:
            yield
        except Answered as answer:
            raise self._meaning(answer, name) from None

    def _meaning(self, answer: Answered, name: str) -> SandboxError:
        match answer.fault:
            case Fault.MISSING:
                return SealBroken(f"object {name} is missing", code="seal.object_missing")
            case Fault.RANGE:
                return SealBroken(f"{name} ends early", code="seal.object_truncated")
            case Fault.TAKEN:
                return Conflict(f"object {name} exists already", code="seal.object_exists")
            case Fault.NO_BUCKET:
                mend = "make it, or mend configs/storage.yaml"
                return Unreachable(f"there is no bucket {self._bucket}", code="storage.no_bucket", mend=mend)
            case Fault.REFUSED:
                return Unreachable(
                    f"the object store refuses {name} to our key: {answer.word}",
                    code="storage.refused",
                    mend="give the key the rights it needs, or bring another: sandbox up --storage-keys FILE",
                )
        return Unreachable(f"the object store does not take {name}: {answer.word}", code="storage.failed")
