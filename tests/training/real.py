"""Real recorded speech for the training tests: the numbers, as a keeper hands them out."""

from __future__ import annotations

import csv
import functools
import tempfile
from pathlib import Path
from typing import Any

import soundfile

from sandbox.demo import speech


@functools.cache
def numbers() -> tuple[dict[str, Any], ...]:
    """31 recordings of one woman: zero to twenty, the tens, hundred, thousand, million."""
    with tempfile.TemporaryDirectory() as folder:
        speech.gather_digits(Path(folder), "spk_0001")
        with open(Path(folder) / "metadata.csv", newline="", encoding="utf-8") as file:
            return tuple(_utterance(Path(folder), row) for row in csv.DictReader(file))


def _utterance(folder: Path, row: dict[str, str]) -> dict[str, Any]:
    audio, rate = soundfile.read(folder / row["file"], dtype="float32")
    said = {
        "record": row["file"],
        "subject": row["subject"],
        "language": row["language"],
        "text": row["text"],
    }
    return {**said, "sample_rate": int(rate), "audio": audio.astype("<f4").tobytes()}


@functools.cache
def voices(per_language: int) -> tuple[dict[str, Any], ...]:
    """Short utterances of five voices in five languages; the subject is the person, and two of the voices are one's."""
    with tempfile.TemporaryDirectory() as folder:
        people = {person: f"spk_{n:04d}" for n, person in enumerate(speech.PEOPLE, 1)}
        speech.gather_voices(Path(folder), people, per_language=per_language)
        with open(Path(folder) / "metadata.csv", newline="", encoding="utf-8") as file:
            return tuple(_utterance(Path(folder), row) for row in csv.DictReader(file))
