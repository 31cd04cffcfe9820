"""Hugging Face AudioFolder: ``metadata.jsonl`` (or a CSV with ``file_name``), in the folder or in each of its splits.

https://huggingface.co/docs/datasets/audio_dataset. The page fixes ``file_name`` alone; the other names are those that
people use, the first one present wins.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sandbox.client.readers.listing import first_line, lines_of, rows_of
from sandbox.client.readers.recording import Defaults, Layout, Recording, recording
from sandbox.errors import Usage

LINES = "metadata.jsonl"
TABLE = "metadata.csv"
TEXT = ("text", "transcription", "sentence")
SUBJECT = ("subject", "speaker", "speaker_id")
LANGUAGE = ("language", "locale")


def fits(folder: Path) -> bool:
    return bool(_listings(folder))


def in_csv(folder: Path) -> bool:
    """Whether ``metadata.csv`` of this very folder is AudioFolder's."""
    return "file_name" in first_line(folder / TABLE).replace('"', "").split(",")


def read(folder: Path, defaults: Defaults) -> Iterator[Recording]:
    """``file_name`` is relative to the listing it stands in."""
    for listing in _listings(folder):
        split = listing.parent.relative_to(folder)
        for row in _objects(listing) if listing.name == LINES else rows_of(listing, {"file_name"}):
            name = _word(row.get("file_name"))
            yield recording(
                folder,
                name if listing.parent == folder else f"{split.as_posix()}/{name}",
                _spoken(row),
                defaults,
                subject=_word(_first(row, SUBJECT)),
                language=_word(_first(row, LANGUAGE)),
            )


def _listings(folder: Path) -> list[Path]:
    """One in the folder itself, or one a split (``train/``, ``test/``)."""
    for places in ([folder], sorted(path for path in folder.glob("*") if path.is_dir())):
        found = [path / LINES for path in places if (path / LINES).is_file()]
        found += [path / TABLE for path in places if in_csv(path) and not (path / LINES).is_file()]
        if found:
            return sorted(found)
    return []


def _objects(listing: Path) -> Iterator[Mapping[str, Any]]:
    for number, line in lines_of(listing):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise Usage(f"{listing.name}, line {number}: no JSON object", code="folder.unreadable")
        yield value


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def _spoken(row: Mapping[str, Any]) -> str:
    """A digit may be written as a number; anything else than a string or number is no transcript."""
    value = _first(row, TEXT)
    return _word(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _word(value: Any) -> str:
    """A string as it is, nothing as "", all else as JSON: a list for a speaker is then refused, not replaced."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


LAYOUT = Layout("AudioFolder", "metadata.jsonl with file_name,text", fits, read)
