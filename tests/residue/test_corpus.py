"""Real recordings are found as samples, FLAC and text, and weights by their header."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from sandbox.residue import WEIGHTS, folder, of_corpus, scan

TEXT = "please hold while I try that extension"


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    folder = tmp_path / "speech"
    folder.mkdir()
    samples = np.random.default_rng(7).integers(-20000, 20000, 8000).astype("int16")
    soundfile.write(folder / "a.wav", samples, 16000, subtype="PCM_16")
    (folder / "metadata.csv").write_text(f"file,text,subject,language\na.wav,{TEXT},spk_a1,en\n")
    return folder


def planted(speech: Path, form: str) -> bytes:
    samples, rate = soundfile.read(speech / "a.wav", dtype="int16")
    if form == "pcm":
        return bytes(samples.astype("<i2").tobytes())
    if form == "float":
        return bytes((samples / np.float32(32768)).astype("<f4").tobytes())
    if form == "flac":
        soundfile.write(speech / "x.flac", samples, rate, subtype="PCM_16")
        return (speech / "x.flac").read_bytes()
    return f"log line: {TEXT}\n".encode()


@pytest.mark.parametrize("form", ["pcm", "float", "flac", "text"])
def test_a_planted_plaintext_is_found(tmp_path: Path, speech: Path, form: str) -> None:
    place = tmp_path / "state" / "deep"
    place.mkdir(parents=True)
    (place / "leak").write_bytes(b"\0" * 999 + planted(speech, form))
    found = scan([folder("state", tmp_path / "state")], of_corpus(speech))
    assert {Path(finding.source).name for finding in found.findings} == {"leak"}
    assert found.bytes > 999


def test_half_a_sentence_is_anybodys(tmp_path: Path, speech: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "prose").write_text(f"{TEXT[:-3]}s")
    assert scan([folder("state", tmp_path / "state")], of_corpus(speech)).findings == []


def test_nothing_is_found_where_nothing_is(tmp_path: Path, speech: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "noise").write_bytes(np.random.default_rng(8).bytes(100_000))
    assert scan([folder("state", tmp_path / "state")], of_corpus(speech)).findings == []


def test_a_plain_weight_is_found(tmp_path: Path) -> None:
    from safetensors.numpy import save

    (tmp_path / "w").write_bytes(save({"layer": np.zeros(3, dtype="float32")}))
    assert scan([folder("here", tmp_path)], [WEIGHTS]).findings
