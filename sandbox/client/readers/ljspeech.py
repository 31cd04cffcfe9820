"""LJSpeech: ``metadata.csv`` of ``id|text|normalised text``, audio in ``wavs/`` (https://keithito.com/LJ-Speech-Dataset)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sandbox.client.readers.listing import first_line, lines_of
from sandbox.client.readers.recording import Defaults, Layout, Recording, recording

LISTING = "metadata.csv"


def fits(folder: Path) -> bool:
    return "|" in first_line(folder / LISTING)


def read(folder: Path, defaults: Defaults) -> Iterator[Recording]:
    """The normalised text is what was said; where it is missing, the text. One voice, so it names no speaker."""
    for _, line in lines_of(folder / LISTING):
        name, *texts = line.split("|")
        text = next((said for said in reversed(texts) if said.strip()), "")
        yield recording(folder, f"wavs/{name}.wav", text, defaults)


LAYOUT = Layout("LJSpeech", "metadata.csv with id|text beside wavs/", fits, read)
