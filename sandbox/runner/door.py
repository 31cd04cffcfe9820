"""The keeper's end of the events door: numbered frames, kept until the gate has stored them.

A gate that restarts is waited for; what it had not stored is sent again, the same bytes. A gate that stays away longer
than ``patience_s`` ends the run: the keeper drops its keys and leaves (GATE.md, UNLOCKED and TRAINING).
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any

from sandbox import frames
from sandbox.errors import FrameError, RunFailed, Unreachable
from sandbox.frames import Decoder, Frame, encode
from sandbox.runs import RECONNECT_S

WINDOW_BYTES = 16 << 20  # unacknowledged bytes kept in memory before a sender waits
WRITE_DEADLINE_S = 30
_RETRY_S = 0.1


class Door:
    """One connection at a time; ``send`` may be called from any thread."""

    def __init__(self, path: str, run: str, grant: str, patience_s: float = RECONNECT_S) -> None:
        self._path, self._run, self._grant, self._patience_s = path, run, grant, patience_s
        self._changed = threading.Condition(threading.RLock())
        self._socket: socket.socket | None = None
        self._sent = 0
        self._acked = 0
        self._unacked: deque[tuple[int, bytes]] = deque()
        self._unacked_bytes = 0
        self._lost = False
        self._closed = False
        self._go = False
        self._stop: str | None = None
        self._decoder = Decoder(frames.GATE_TO_KEEPER)
        self._reader = threading.Thread(target=self._read_forever, name="door", daemon=True)

    def open(self) -> None:
        """Connect, say hello, and start listening.

        Raises:
            Unreachable: no gate for ``patience_s``.
        """
        self._connect()
        self._reader.start()

    def send(self, kind: str, /, **body: Any) -> None:
        """Number, keep and write one frame; waits while the window is full.

        Raises:
            Unreachable: the gate stayed away too long.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._lost or self._unacked_bytes < WINDOW_BYTES)
            self._check()
            self._sent += 1
            data = encode(frames.KEEPER_TO_GATE, Frame(kind, self._sent, body))
            self._unacked.append((self._sent, data))
            self._unacked_bytes += len(data)
            self._write(data)

    def wait_for_go(self, timeout_s: float) -> None:
        """Return once the gate has proved the credential dead and said ``go``.

        Raises:
            RunFailed: it said ``stop`` instead.
            Unreachable: it said nothing in time.
        """
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._go or self._lost or self._stop is not None, timeout_s
            ):
                raise Unreachable("the gate did not answer 'go' in time")
            self._check()
            if not self._go:
                raise RunFailed("the gate stopped the run before it began", code="run.stopped")

    def flush(self, timeout_s: float) -> None:
        """Return once everything sent is stored by the gate."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._lost or not self._unacked, timeout_s):
                raise Unreachable("the gate did not store the last frames in time")
            self._check()

    @property
    def stop_reason(self) -> str | None:
        """Why the run is to end in order: what the gate asked for with ``stop``, or the machine."""
        return self._stop

    def stop(self, reason: str) -> None:
        """As if the gate had asked. May be called while this thread holds the lock, as a signal's handler does."""
        with self._changed:
            self._stop = self._stop or reason
            self._changed.notify_all()

    @property
    def lost(self) -> bool:
        return self._lost

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._drop()
        if self._reader.is_alive():
            self._reader.join(_RETRY_S * 10)

    def _check(self) -> None:
        if self._lost:
            raise Unreachable(f"no gate at the door for {self._patience_s:.0f} s")

    def _write(self, data: bytes) -> None:
        """Write under the lock. A broken connection is the reader's to mend; the frame stays kept."""
        if self._socket is None:
            return
        try:
            self._socket.sendall(data)
        except OSError:
            self._drop()

    def _drop(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None

    def _connect(self) -> None:
        """Connect and resend until it holds, or give up (ECONNREFUSED and ECONNRESET alike)."""
        deadline = time.monotonic() + self._patience_s
        while True:
            attempt = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                attempt.setsockopt(
                    socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", WRITE_DEADLINE_S, 0)
                )
                attempt.connect(self._path)
                body = {"run": self._run, "grant": self._grant, "seen": self._acked}
                attempt.sendall(encode(frames.KEEPER_TO_GATE, Frame("hello", 0, body)))
                stored = self._first_answer(attempt, deadline)
            except (OSError, FrameError):
                attempt.close()
                if time.monotonic() >= deadline or self._over():
                    with self._changed:
                        self._lost = True
                        self._changed.notify_all()
                    raise Unreachable(f"no gate at the door for {self._patience_s:.0f} s") from None
                time.sleep(_RETRY_S)
                continue
            with self._changed:
                if self._closed:
                    attempt.close()
                    return
                self._acknowledged(stored)
                self._socket = attempt
                for _, data in self._unacked:
                    self._write(data)
            return

    def _first_answer(self, attempt: socket.socket, deadline: float) -> int:
        """The gate answers hello with the number of the last frame that it has stored."""
        self._decoder = Decoder(frames.GATE_TO_KEEPER)
        attempt.settimeout(max(0.1, deadline - time.monotonic()))
        answers: list[Frame] = []
        while not answers:
            data = attempt.recv(1 << 16)
            if not data:
                raise ConnectionResetError
            answers = self._decoder.feed(data)
        attempt.settimeout(None)
        first, *rest = answers
        if first.kind == "stop":
            self._hear(first)
            return self._acked
        if first.kind != "ack":
            raise FrameError("the gate answered hello with something else than ack")
        for frame in rest:
            self._hear(frame)
        return first.n

    def _read_forever(self) -> None:
        while not self._over():
            connection = self._socket
            try:
                if connection is None:
                    self._connect()
                    continue
                data = connection.recv(1 << 16)
                if not data:
                    raise ConnectionResetError
                for frame in self._decoder.feed(data):
                    self._hear(frame)
            except Unreachable:
                return
            except (OSError, FrameError):
                with self._changed:
                    self._drop()

    def _over(self) -> bool:
        with self._changed:
            return self._closed

    def _hear(self, frame: Frame) -> None:
        with self._changed:
            if frame.kind == "ack":
                self._acknowledged(frame.n)
            elif frame.kind == "go":
                self._go = True
            else:
                self._stop = str(frame.body["reason"])
            self._changed.notify_all()

    def _acknowledged(self, n: int) -> None:
        if n > self._sent:
            raise FrameError("the gate acknowledged what was never sent")
        self._acked = max(self._acked, n)
        while self._unacked and self._unacked[0][0] <= n:
            _, data = self._unacked.popleft()
            self._unacked_bytes -= len(data)
        self._changed.notify_all()
