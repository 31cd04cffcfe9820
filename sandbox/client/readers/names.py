"""A studio's names of its speakers, translated: a CSV of ``speaker,spk_…``, without a header."""

from __future__ import annotations

import csv
from pathlib import Path

from sandbox.errors import Usage


def read_names(path: Path) -> dict[str, str]:
    """Speaker -> pseudonym. The list is a secret of Party A: it is read, and never sent.

    Raises:
        Usage: it cannot be read, or a line has no pseudonym.
    """
    found: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            for row in rows:
                if not any(row):
                    continue
                if len(row) < 2:
                    raise _unreadable(path, f"line {rows.line_num} is not speaker,spk_…")
                found[row[0].strip()] = row[1].strip()
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise _unreadable(path, type(fault).__name__) from None
    return found


def _unreadable(path: Path, why: str) -> Usage:
    return Usage(
        f"{path.name} is no list of speakers: {why}",
        code="subjects.unreadable",
        mend="lines of speaker,spk_… in UTF-8",
    )
