"""The plainest layout: ``metadata.csv`` with the columns ``file,text`` and, where wanted, ``subject,language``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sandbox.client.readers import audiofolder, ljspeech
from sandbox.client.readers.listing import rows_of
from sandbox.client.readers.recording import Defaults, Layout, Recording, recording

LISTING = "metadata.csv"


def fits(folder: Path) -> bool:
    """Any ``metadata.csv`` that is of no other layout; whether its columns will do is told when it is read."""
    return (folder / LISTING).is_file() and not ljspeech.fits(folder) and not audiofolder.in_csv(folder)


def read(folder: Path, defaults: Defaults) -> Iterator[Recording]:
    for row in rows_of(folder / LISTING, {"file", "text"}):
        said = {name: row.get(name, "") for name in ("subject", "language")}
        yield recording(folder, row["file"], row["text"], defaults, **said)


LAYOUT = Layout("CSV", "metadata.csv with file,text,subject,language", fits, read)
