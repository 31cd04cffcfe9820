"""The trainer's end of the socket pair to the keeper: frames in, frames out, never a deadlock.

Both ends may be writing at once: while the socket takes nothing, whatever arrives is read and kept.

Numbers that come in a burst are gathered: each one that leaves wakes the keeper, on a core that trains.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from typing import Any, Protocol

from sandbox.errors import FrameError
from sandbox.frames import KEEPER_TO_TRAINER, TRAINER_TO_KEEPER, Alphabet, Decoder, Frame, encode

GATHER_S = 0.25  # a metric waits for others at most so long, while messages go on coming
_GATHERED = "metric"
_CHUNK = 1 << 20


class Channel(Protocol):
    """What a run speaks through. The pipe in the container; plain files in benchmarks.

    1. ``send`` hands one message over, in order, and returns when it has left; a metric may leave with a later message.
    2. ``receive`` waits for the next message; ``pending`` takes those that are here already and may be called any time.
       Before ``receive`` waits, all has left; before ``pending`` looks, all that is older than ``GATHER_S``.
    """

    def send(self, kind: str, /, **body: Any) -> None: ...

    def receive(self) -> Frame: ...

    def pending(self) -> list[Frame]: ...


class Pipe:
    """:class:`Channel` over a connected stream socket."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        hears: Alphabet = KEEPER_TO_TRAINER,
        says: Alphabet = TRAINER_TO_KEEPER,
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._decoder = Decoder(hears)
        self._says = says
        self._sent = 0
        self._gathered = bytearray()
        self._told_at = 0.0  # when numbers left last
        self._arrived: deque[Frame] = deque()
        self._closed = False

    def send(self, kind: str, /, **body: Any) -> None:
        """Raises FrameError when the message breaks its alphabet or the other side is gone."""
        self._sent += 1
        data = encode(self._says, Frame(kind, self._sent, body))
        if kind == _GATHERED:
            self._gathered += data
            if self._late():
                self._tell()
        else:
            self._tell()
            self._write(data)

    def _late(self) -> bool:
        return time.monotonic() - self._told_at >= GATHER_S

    def _tell(self) -> None:
        """Let the numbers go that were gathered."""
        if self._gathered:
            self._told_at = time.monotonic()
            told, self._gathered = bytes(self._gathered), bytearray()
            self._write(told)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            readable, writable, _ = select.select([] if self._closed else [self._sock], [self._sock], [])
            if readable:
                self._read()
            if writable:
                try:
                    left = left[self._sock.send(left) :]
                except BlockingIOError:
                    continue
                except OSError:
                    raise FrameError("the other side of the pipe is gone") from None

    def receive(self) -> Frame:
        """The next message. Raises FrameError at the end of the stream."""
        self._tell()
        while not self._arrived:
            if self._closed:
                raise FrameError("the other side of the pipe is gone")
            select.select([self._sock], [], [])
            self._read()
        return self._arrived.popleft()

    def pending(self) -> list[Frame]:
        """Every message that is here already; never waits for one."""
        if self._late():
            self._tell()
        while not self._closed and select.select([self._sock], [], [], 0)[0]:
            self._read()
        frames = list(self._arrived)
        self._arrived.clear()
        return frames

    def _read(self) -> None:
        try:
            data = self._sock.recv(_CHUNK)  # recv, not recvmsg: the kernel drops a passed descriptor
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._closed = True
        self._arrived.extend(self._decoder.feed(data))
