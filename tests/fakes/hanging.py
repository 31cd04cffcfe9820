"""A hand that hangs in chosen calls until it is let go, as a service does whose disk is full."""

from __future__ import annotations

import threading
from typing import Any

from sandbox.errors import Unreachable

HANG_S = 60.0


class Hanging:
    """Stands before ``hand``. ``hanging`` is set once a call waits; ``release`` lets all of them go on."""

    def __init__(self, hand: Any, *calls: str) -> None:
        self._hand, self._calls = hand, calls
        self.hanging, self._released = threading.Event(), threading.Event()

    def release(self) -> None:
        self._released.set()

    def __getattr__(self, call: str) -> Any:
        effect = getattr(self._hand, call)
        if call not in self._calls:
            return effect

        def waits(*args: Any, **kwargs: Any) -> Any:
            self.hanging.set()
            if not self._released.wait(HANG_S):
                raise Unreachable(f"{call} hung")
            return effect(*args, **kwargs)

        return waits
