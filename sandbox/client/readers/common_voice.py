"""Common Voice: one language's folder, ``clips/`` and tables of ``client_id, path, sentence, … locale``.

https://github.com/common-voice/cv-dataset. ``client_id`` is a name to be translated to a pseudonym; ``locale`` is the
language. Votes, age, gender and accents are not taken: nothing that training does not need is sealed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from sandbox.client.readers.listing import rows_of
from sandbox.client.readers.recording import Defaults, Layout, Recording, recording

CLIPS = "clips"
WHOLE = "validated.tsv"  # train, dev and test are drawn from it
PARTS = ("train.tsv", "dev.tsv", "test.tsv")


def fits(folder: Path) -> bool:
    return (folder / CLIPS).is_dir() and bool(_tables(folder))


def read(folder: Path, defaults: Defaults) -> Iterator[Recording]:
    """What listeners confirmed; ``other.tsv`` and ``invalidated.tsv`` are left alone. No cell is quoted."""
    for table in _tables(folder):
        needed = {"client_id", "path", "sentence"}
        for row in rows_of(table, needed, delimiter="\t", quoting=csv.QUOTE_NONE):
            name = row["path"]
            if name and not PurePosixPath(name).suffix:  # the first releases named clips without it
                name += ".mp3"
            said = {"subject": row["client_id"], "language": row.get("locale", "")}
            yield recording(folder, f"{CLIPS}/{name}", row["sentence"], defaults, **said)


def _tables(folder: Path) -> list[Path]:
    names = (WHOLE,) if (folder / WHOLE).is_file() else PARTS
    return [folder / name for name in names if (folder / name).is_file()]


LAYOUT = Layout("Common Voice", "clips/ beside validated.tsv or train.tsv, dev.tsv, test.tsv", fits, read)
