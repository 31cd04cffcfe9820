"""How far long work is: what its generators yield, before they return what they made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """``done`` of ``of``, in whatever the work counts: bytes, people."""

    done: int
    of: int
