"""What a recipe's files differ in: counts for a refusal, from the exact bytes of both versions. Pure."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping

from sandbox.policy.reviewed import FileChange

LINES_MAX = (
    4000  # of a larger file lines are counted, wherever they stand: comparing in order takes squares of them
)


def changed_files(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> tuple[FileChange, ...]:
    """Every file that is not the same in both, by name; one that is in one version only is added or removed whole."""
    found = []
    for path in sorted({*old, *new}):
        if old.get(path) != new.get(path):
            added, removed = _count(_lines(old.get(path, b"")), _lines(new.get(path, b"")))
            found.append(FileChange(path, added, removed))
    return tuple(found)


def _lines(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


def _count(old: list[bytes], new: list[bytes]) -> tuple[int, int]:
    if len(old) + len(new) > LINES_MAX:
        before, after = Counter(old), Counter(new)
        return (after - before).total(), (before - after).total()
    added = removed = 0
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            added, removed = added + d - c, removed + b - a
    return added, removed
