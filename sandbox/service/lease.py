"""A service's own credential at Vault: renewed by whoever keeps it up, and how long it still lasts."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sandbox.runs import utc

LOGIN_ENDS = "login-ends"
"""In the service's own folder: when its credential ends, for ``sandbox doctor``. It opens nothing."""


class Lease:
    """Called as ``renew`` itself; remembers what it answered, and writes the end of it into ``note``."""

    def __init__(
        self,
        renew: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.monotonic,
        note: Path | None = None,
    ) -> None:
        self._renew, self._clock, self._note = renew, clock, note
        self._until: float | None = None

    def __call__(self) -> int:
        lasts = self._renew()
        self._until = self._clock() + lasts
        if self._note is not None:
            self._note.write_text(utc(datetime.now(UTC) + timedelta(seconds=lasts)))
        return lasts

    def left_s(self) -> dict[str, float]:
        """Seconds until the credential ends; nothing before it was first renewed."""
        return {} if self._until is None else {"": max(0.0, self._until - self._clock())}
