"""Needles of real recordings: a folder with ``metadata.csv`` (file, text), as it was before it was sealed."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import soundfile

from sandbox.residue.needles import LETTERS, Needle, of_sound, of_text

#: What every safetensors file of ours begins with. Joined here: this file must not hold it itself.
WEIGHTS = Needle("weights", "safetensors", b"".join([b'":{"dtype":"F32",', b'"shape":[']))


def of_corpus(folder: Path, every: int = 1) -> list[Needle]:
    """Of every ``every``-th recording, and of all its texts: whole ones, for half a sentence is anybody's."""
    with open(folder / "metadata.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = [
        needle
        for row in rows
        if len(row["text"]) >= LETTERS
        for needle in of_text(f"transcript of {row['file']}", row["text"], windows=1)
    ]
    for row in rows[::every]:
        pcm, rate = soundfile.read(folder / row["file"], dtype="int16")
        found += of_sound(row["file"], np.asarray(pcm), rate)
    return found
