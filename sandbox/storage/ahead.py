"""Reading in sequence before it is asked for, so that a store's latency is waited for once and not at every record."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from sandbox.errors import SealBroken
from sandbox.sealing.storage import Source

BLOCK_BYTES = 8 << 20
AHEAD = 4
_GAP = 1 << 20  # a reader that skips less still reads in sequence
_START = 4 << 10  # an object that is read from about its beginning is probably read whole

_Block = tuple[str, int]


class ReadAhead:
    """A :class:`Source` over another, whose objects never change. Safe from any thread; to be closed.

    Reads that follow each other in an object are served from blocks of ``block`` bytes, ``ahead`` of which are under
    way beyond the last one asked for; any other read goes straight through. Holds at most ``2 * ahead + 3`` blocks.
    """

    def __init__(self, source: Source, *, block: int = BLOCK_BYTES, ahead: int = AHEAD) -> None:
        self._source, self._block, self._ahead = source, block, ahead
        self._pool = ThreadPoolExecutor(ahead + 1, "ahead")
        self._lock = threading.Lock()
        self._blocks: OrderedDict[_Block, Future[bytes]] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._reached: dict[str, int] = {}  # name -> where its last read ended

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._blocks.clear()

    def names(self, folder: str) -> list[str]:
        return self._source.names(folder)

    def size(self, name: str) -> int:
        if name not in self._sizes:
            self._sizes[name] = self._source.size(name)
        return self._sizes[name]

    def read(self, name: str, offset: int, length: int) -> bytes:
        with self._lock:
            before = self._reached.get(name)
            self._reached[name] = offset + length
        begins = offset <= _START if before is None else abs(offset - before) <= _GAP
        if not begins:
            return self._source.read(name, offset, length)
        size = self.size(name)
        if offset + length > size:
            raise SealBroken(f"{name} ends early", code="seal.object_truncated")
        first, last = offset // self._block, max(offset, offset + length - 1) // self._block
        parts = []
        for number, future in self._under_way(name, first, last, size):
            data = self._wait(name, number, future)
            start = number * self._block
            parts.append(data[max(0, offset - start) : offset + length - start])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _under_way(self, name: str, first: int, last: int, size: int) -> list[tuple[int, Future[bytes]]]:
        """The blocks asked for, with those beyond them on their way too."""
        wanted = []
        with self._lock:
            for number in range(first, min(last + self._ahead, (size - 1) // self._block) + 1):
                key = (name, number)
                if key not in self._blocks:
                    start = number * self._block
                    length = min(self._block, size - start)
                    self._blocks[key] = self._pool.submit(self._source.read, name, start, length)
                self._blocks.move_to_end(key)
                if number <= last:
                    wanted.append((number, self._blocks[key]))
            while len(self._blocks) > self._ahead + (last - first) + 2:
                self._blocks.popitem(last=False)[1].cancel()
        return wanted

    def _wait(self, name: str, number: int, future: Future[bytes]) -> bytes:
        """Raises what the reading raised; a block that failed, or was given up for a later one, is read again."""
        try:
            return future.result()
        except BaseException:
            with self._lock:
                if self._blocks.get((name, number)) is future:
                    del self._blocks[name, number]
            if future.cancelled():
                start = number * self._block
                return self._source.read(name, start, min(self._block, self.size(name) - start))
            raise
