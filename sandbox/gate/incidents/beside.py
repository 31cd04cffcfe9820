"""Many effects beside each other, each answered as it comes, all of them within a limit. What hangs is left hanging."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

#: Threads at once; what VAULT.md measured best for revoking by accessor.
WIDTH = 16


def each(
    items: Sequence[T], effect: Callable[[T], None], *, limit_s: float, width: int = WIDTH
) -> Iterator[tuple[T, Exception | None]]:
    """Do ``effect`` for every item; yields (item, fault or None) in the order of their ends.

    After ``limit_s`` seconds whatever did not end yet is yielded with a TimeoutError; what did not begin never will.
    The threads are daemons, so one that hangs keeps no gate from ending.
    """
    waiting, ended = queue.SimpleQueue[int](), queue.SimpleQueue[tuple[int, Exception | None]]()
    over = threading.Event()
    for number in range(len(items)):
        waiting.put(number)

    def work() -> None:
        while not over.is_set():
            try:
                number = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                effect(items[number])
            except Exception as fault:  # noqa: BLE001 - it is the caller who judges it
                ended.put((number, fault))
            else:
                ended.put((number, None))

    for number in range(min(width, len(items))):
        threading.Thread(target=work, name=f"beside-{number}", daemon=True).start()
    left, deadline = set(range(len(items))), time.monotonic() + limit_s
    try:
        while left:
            try:
                number, fault = ended.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            left.discard(number)
            yield items[number], fault
    finally:
        over.set()
    for number in sorted(left):
        yield items[number], TimeoutError("no answer in time")
