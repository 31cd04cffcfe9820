"""The C library's allocator, told that records come one after another.

By default a block of a record's size is mapped anew each time and given back at once, and the kernel's page faults then
cost more than decryption itself. What is kept is the process's own memory; it ends with the process.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
KEPT_BYTES = 64 << 20
BLOCK_BYTES = 8 << 20


def keep_memory() -> bool:
    """Keep ``KEPT_BYTES`` of what is freed, for blocks below ``BLOCK_BYTES``. False where libc has no such knob."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, BLOCK_BYTES)) and bool(mallopt(_TRIM_THRESHOLD, KEPT_BYTES))
