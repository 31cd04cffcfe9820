"""Two versions of some files side by side in a terminal, so that nothing in them can deceive who reads it. Pure.

What a terminal would act on or not show (control characters, bidirectional and invisible ones: "Trojan Source",
CVE-2021-42574) is written out as ``\\u202e``. A file that is no UTF-8 text is named by its digest only.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sandbox.statements import sha256

_KINDS = {"@": "hunk", "+": "added", "-": "removed", " ": "same"}
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"})


def visible(line: str) -> str:
    """The line with everything written out that would not be seen as what it is; tabs stay."""
    return "".join(
        char if char == "\t" or unicodedata.category(char) not in _HIDDEN else _written(char) for char in line
    )


@dataclass(frozen=True)
class Line:
    """One line of a diff, safe to print. ``kind``: file, hunk, added, removed, same or note."""

    kind: str
    text: str


def unified(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> Iterator[Line]:
    """The unified diff of every file that differs, by name."""
    for path in sorted({*old, *new}):
        before, after = old.get(path), new.get(path)
        if before != after:
            yield from _file(path, before, after)


def _file(path: str, before: bytes | None, after: bytes | None) -> Iterator[Line]:
    left, right = _lines(before), _lines(after)
    names = ("/dev/null" if before is None else f"a/{path}", "/dev/null" if after is None else f"b/{path}")
    if left is None or right is None:
        yield Line("file", f"--- {names[0]}")
        yield Line("file", f"+++ {names[1]}")
        yield Line("note", f"no text: {_named(before)} -> {_named(after)}")
        return
    for number, text in enumerate(difflib.unified_diff(left, right, *names, lineterm="")):
        # only the first two name the file: a line "++ x" of a file that came reads "+++ x", and is none of them
        yield Line("file" if number < 2 else _KINDS[text[0]], text)


def _lines(data: bytes | None) -> list[str] | None:
    """Printable lines; ``\\r`` and a missing last newline are written out, for they are differences too."""
    if data is None:
        return []
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    lines = text.split("\n")
    last = lines.pop()
    return [visible(line) for line in lines] + ([visible(last) + "  (no newline at the end)"] if last else [])


def _named(data: bytes | None) -> str:
    return "nothing" if data is None else f"{len(data)} bytes, sha256 {sha256(data)}"


def _written(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
