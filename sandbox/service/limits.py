"""How much one caller may ask: token buckets a minute, and open streams. In memory, for this service alone.

A person is counted by name. Whoever shows no valid identity is counted by peer (the socket's Unix user, or the
address) in buckets of their own, so a stranger never uses up what a person may ask. What stops a run is never counted.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable

from sandbox.errors import TooMany

REQUESTS_PER_MINUTE = 1200
STREAMS_PER_PERSON = 16
UNIDENTIFIED_SHARE = 10  # a peer without identity may ask a tenth
_KEPT = 4096


class Buckets:
    """One bucket a key: full at ``per_minute`` tokens, refilled evenly. Thread-safe."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._each_s = float(per_minute), 60.0 / per_minute
        self._clock, self._lock = clock, threading.Lock()
        self._held: dict[str, tuple[float, float]] = {}

    def take(self, key: str) -> float:
        """0 when one was there; else the seconds until one will be."""
        now = self._clock()
        with self._lock:
            if key not in self._held and len(self._held) >= _KEPT:
                self._forget(now)
            tokens, since = self._held.get(key, (self._most, now))
            tokens = min(self._most, tokens + (now - since) / self._each_s)
            if tokens < 1.0:
                self._held[key] = (tokens, now)
                return (1.0 - tokens) * self._each_s
            self._held[key] = (tokens - 1.0, now)
            return 0.0

    def _forget(self, now: float) -> None:
        """Drop every bucket that is full again; all of them, when none is: memory is bounded before all else."""
        full = {k: v for k, v in self._held.items() if v[0] + (now - v[1]) / self._each_s < self._most}
        self._held = full if len(full) < _KEPT else {}


class Limits:
    """What a service allows one caller."""

    def __init__(
        self,
        requests_per_minute: int = REQUESTS_PER_MINUTE,
        streams: int = STREAMS_PER_PERSON,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._people = Buckets(requests_per_minute, clock)
        self._peers = Buckets(max(1, requests_per_minute // UNIDENTIFIED_SHARE), clock)
        self._streams, self._most, self._lock = Counter[str](), streams, threading.Lock()

    def person(self, name: str) -> None:
        """Count one request of an identified person. Raises TooMany."""
        _refuse(self._people.take(name))

    def peer(self, key: str) -> None:
        """Count one request that showed no valid identity. Raises TooMany."""
        _refuse(self._peers.take(key))

    def open_stream(self, name: str) -> None:
        """Count a stream that opens; :meth:`close_stream` follows once. Raises TooMany."""
        with self._lock:
            if self._streams[name] >= self._most:
                raise TooMany(
                    f"{name} follows {self._most} streams already",
                    code="streams.too_many",
                    mend="close one of them",
                )
            self._streams[name] += 1

    def close_stream(self, name: str) -> None:
        with self._lock:
            self._streams[name] -= 1
            if self._streams[name] <= 0:
                del self._streams[name]


def _refuse(wait_s: float) -> None:
    if wait_s > 0:
        seconds = max(1, math.ceil(wait_s))
        raise TooMany(
            "more is asked than is allowed in a minute", mend=f"ask again in {seconds} s", retry_s=seconds
        )
