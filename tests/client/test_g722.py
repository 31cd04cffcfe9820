"""Headerless G.722 is decoded at home and sent as the WAV of the same samples."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from G722 import G722

from sandbox.client.readers import Defaults, read_folder, recording
from sandbox.client.readers.g722 import as_wav
from sandbox.client.rehearsal import rehearse
from tests.client.studios import listing, put


def coded(seconds: float = 1.0) -> bytes:
    tone = 8000 * np.sin(2 * np.pi * 440 * np.arange(int(16_000 * seconds)) / 16_000)
    return bytes(G722(16_000, 64_000).encode(tone.astype(np.int16)))


def test_a_wav_of_16_khz_holds_what_was_coded() -> None:
    samples, rate = soundfile.read(io.BytesIO(as_wav(coded())), dtype="int16")
    assert (rate, len(samples)) == (16_000, 16_000)
    spectrum = np.abs(np.fft.rfft(samples.astype(float)))
    assert int(np.argmax(spectrum)) == 440 and 7000 < np.abs(samples[2000:]).max() < 9000


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="compares with ffmpeg's decoder")
def test_another_decoder_gives_the_same_samples() -> None:
    command = ["ffmpeg", "-v", "error", "-f", "g722", "-i", "-", "-f", "s16le", "-"]
    theirs = subprocess.run(command, input=coded(), capture_output=True, check=True).stdout
    ours, _ = soundfile.read(io.BytesIO(as_wav(coded())), dtype="int16")
    assert np.array_equal(ours, np.frombuffer(theirs, dtype="<i2"))


def test_a_folder_of_g722_is_read_and_an_empty_file_named(tmp_path: Path) -> None:
    put(tmp_path / "a.g722", coded())
    put(tmp_path / "B.G722", coded(0.5))
    put(tmp_path / "c.g722", b"")
    listing(tmp_path, *((name, "word", "spk_anna", "en") for name in ("a.g722", "B.G722", "c.g722")))
    found = rehearse(read_folder(tmp_path, Defaults()))
    assert found.rates == {16_000: 2} and found.problems == {"audio.empty": ["c.g722"]}
    assert sorted(found.lengths) == [0.5, 1.0]


def test_one_whose_wav_would_be_too_large_is_sent_with_its_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MAX_AUDIO_BYTES", 4000)
    put(tmp_path / "a.g722", coded()[:1001])
    put(tmp_path / "b.g722", coded()[:1000])
    listing(tmp_path, *((name, "word", "spk_anna", "en") for name in ("a.g722", "b.g722")))
    sent = [found.sent() for found in read_folder(tmp_path, Defaults())]
    assert [facts.get("fault") for facts, _ in sent] == ["audio.unreadable", None]
    assert [len(audio) > 0 for _, audio in sent] == [False, True]
