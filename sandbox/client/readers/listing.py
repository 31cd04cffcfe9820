"""A folder's own listing: text whose bytes may be of another encoding, and tables with a header."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sandbox.errors import Usage


def decoded(data: bytes) -> str:
    """UTF-8, with or without a mark in front; bytes of another encoding stay visible as surrogates."""
    return data.decode("utf-8-sig", "surrogateescape")


def text_of(path: Path) -> str:
    """Raises OSError."""
    return decoded(path.read_bytes())


def first_line(path: Path) -> str:
    """ "" where there is no such file."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return decoded(file.readline(1 << 16)).rstrip("\r\n")


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Number from 1 and line; only line feeds part lines, so a transcript may hold any other separator."""
    for number, line in enumerate(text_of(path).split("\n"), 1):
        if line.strip():
            yield number, line.rstrip("\r")


def rows_of(path: Path, needed: set[str], **dialect: Any) -> Iterator[dict[str, str]]:
    """Rows of a table by column; a cell that is not there is empty.

    Raises:
        Usage: a column that is needed is not there, or a line is no row of this table.
    """
    rows = csv.DictReader(io.StringIO(text_of(path), newline=""), strict=True, **dialect)
    try:
        if not needed <= set(rows.fieldnames or ()):
            raise Usage(
                f"{path.name} has no columns {' and '.join(sorted(needed))}",
                code="folder.unknown",
                mend="write a metadata.csv with the columns file,text,subject,language",
            )
        for row in rows:
            if None in row:  # else a transcript would end at its first comma, without a word
                raise Usage(
                    f"{path.name}, line {rows.line_num}: more fields than columns",
                    code="folder.unreadable",
                    mend="put a text that holds the separator in double quotes",
                )
            yield {name: cell or "" for name, cell in row.items()}
    except csv.Error as fault:
        raise Usage(f"{path.name}, line {rows.line_num}: {fault}", code="folder.unreadable") from None
