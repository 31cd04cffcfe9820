"""Synthetic speech says that it is: the label stands in the file, other tools read it, and no sample changes."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sandbox.errors import RecipeError
from sandbox.runner import aigc

LABEL = aigc.label("dsa-2026-0001", "r-2345", "speech/one.flac")


def flac(count: int = 16_000, comment: str = "") -> bytes:
    buffer = io.BytesIO()
    samples = np.sin(np.arange(count) / 20).astype("float32")
    with soundfile.SoundFile(buffer, "w", 16_000, 1, "PCM_16", format="FLAC") as file:
        if comment:
            file.comment = comment
        file.write(samples)
    return buffer.getvalue()


def tags(path: Path) -> dict[str, str]:
    """As a program that is not ours reads them."""
    words = ["ffprobe", "-v", "error", "-of", "json", "-show_entries", "format_tags"]
    said = subprocess.run([*words, str(path)], capture_output=True, check=True)
    return json.loads(said.stdout)["format"]["tags"]


@pytest.mark.parametrize("sound", [flac(), flac(1), flac(comment="made by hand")])
def test_the_label_is_read_by_others_and_the_sound_is_the_same(tmp_path: Path, sound: bytes) -> None:
    path = tmp_path / "one.flac"
    path.write_bytes(aigc.labelled(sound, LABEL))
    found = tags(path)
    assert json.loads(found.pop("AIGC")) == LABEL and found == {}
    before, after = soundfile.read(io.BytesIO(sound), dtype="int16"), soundfile.read(path, dtype="int16")
    assert np.array_equal(before[0], after[0]) and before[1] == after[1]


def test_the_label_says_who_made_what() -> None:
    assert LABEL["Label"] == aigc.GENERATED
    assert (LABEL["ContentProducer"], LABEL["ProduceID"]) == ("dsa-2026-0001", "r-2345/speech/one.flac")


def test_there_is_one_label_however_often_it_is_put_on() -> None:
    once = aigc.labelled(flac(), LABEL)
    assert aigc.labelled(once, LABEL) == once


def test_what_is_no_flac_gets_none() -> None:
    with pytest.raises(RecipeError):
        aigc.labelled(b"RIFF", LABEL)
