"""One loudness for every recording where it was asked for, said in the manifest; never a clipped sample."""

import io

import numpy as np
import pytest
import soundfile

from sandbox.custodian.loudness import HIGHEST, brought_to, measured
from sandbox.custodian.seal import seal_upload
from sandbox.errors import Usage
from sandbox.sealing.audio import decode_flac
from sandbox.sealing.reader import open_version
from tests.fakes.studio import STEWARD, facts, upload, wave


def tone(level, seconds=2.0, rate=48_000):
    return (level * np.sin(2 * np.pi * 997 * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def test_the_measure_is_the_standards_own():
    """A sine of 997 Hz at full scale in one channel reads -3.01 (BS.1770-4, annex 1)."""
    assert measured(tone(1.0), 48_000) == pytest.approx(-3.01, abs=0.05)
    assert measured(tone(0.1), 48_000) == pytest.approx(-23.01, abs=0.05)


@pytest.mark.parametrize("level", [0.02, 0.1, 0.9])
@pytest.mark.parametrize("seconds", [0.1, 0.35, 3.0])
def test_loud_and_quiet_short_and_long_come_out_alike(level, seconds):
    made = brought_to(-23, tone(level, seconds), 48_000)
    assert measured(made, 48_000) == pytest.approx(-23, abs=0.3)


def test_a_peak_is_not_clipped_but_holds_the_gain_back():
    quiet = tone(0.01)
    quiet[1000] = 0.5
    made = brought_to(-23, quiet, 48_000)
    assert np.abs(made).max() == pytest.approx(HIGHEST, abs=1e-4) and measured(made, 48_000) < -23
    loud = tone(1.0) * np.float32(0.98)
    assert np.abs(brought_to(-10, loud * np.float32(0.1), 48_000)).max() <= HIGHEST + 1e-6


def test_what_has_no_loudness_stays_as_it_is():
    hum = tone(1e-5)
    assert np.array_equal(brought_to(-23, hum, 48_000), hum)


def test_it_is_done_when_asked_and_the_manifest_says_so(desk):
    sent = [(facts(n), wave(n, seconds=1.0)) for n in range(2)]
    list(seal_upload(desk, STEWARD, upload(sent, loudness=-20.5, resample=22_050)))
    opened = desk.manifest("digits")
    assert opened.manifest.processing["loudness"] == -20.5
    assert "BS.1770" in opened.manifest.processing["loudness_method"]
    for record in open_version(desk.folder("digits"), opened, desk.vault).stream():
        audio = decode_flac(record.flac, record.samples, record.sample_rate)
        assert measured(audio.samples, audio.sample_rate) == pytest.approx(-20.5, abs=0.1)


def test_unasked_not_a_sample_changes_and_the_manifest_says_that_too(desk):
    data = wave(3, seconds=1.0)
    list(seal_upload(desk, STEWARD, upload([(facts(0), data)])))
    opened = desk.manifest("digits")
    assert opened.manifest.processing["loudness"] is None
    (record,) = open_version(desk.folder("digits"), opened, desk.vault).stream()
    given, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    assert np.array_equal(decode_flac(record.flac, record.samples, record.sample_rate).samples, given)


@pytest.mark.parametrize("wrong", [0, -9.9, -41, "loud", True])
def test_a_loudness_that_is_none_is_refused(desk, wrong):
    with pytest.raises(Usage, match="loudness"):
        seal_upload(desk, STEWARD, upload([], loudness=wrong))
