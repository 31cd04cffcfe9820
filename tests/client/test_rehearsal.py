"""A rehearsal says what the custodian would do: the same recordings taken, the same set aside, by the same codes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.cli.data import _upload
from sandbox.client.readers import Defaults, read_folder
from sandbox.client.rehearsal import PROBLEMS, bins, rehearse
from sandbox.custodian.seal import seal_upload
from sandbox.sealing.recording import Decoded, Fault, decode
from sandbox.sealing.transcript import Said, judge
from tests.client.studios import NAMES, STUDIOS, listing, put
from tests.fakes.custody import FakeCustody
from tests.fakes.studio import STEWARD, make_desk, open_desk, wave

SILENCE = wave(0)[:44] + bytes(6400)


def not_a_number() -> bytes:
    target = io.BytesIO()
    soundfile.write(target, np.full(3200, np.nan, np.float32), 16_000, format="WAV", subtype="FLOAT")
    return target.getvalue()


#: Code -> a file and its row. What lacks no name of its own is good but for the one fault.
BAD: dict[str, tuple[bytes, tuple[str, str, str]]] = {
    "audio.empty": (b"", ("word", "spk_anna", "en")),
    "audio.unreadable": (b"this is no audio", ("word", "spk_anna", "en")),
    "audio.truncated": (wave(9)[:-100], ("word", "spk_anna", "en")),
    "audio.format": (wave(9, format="AU"), ("word", "spk_anna", "en")),
    "audio.channels": (wave(9, channels=2), ("word", "spk_anna", "en")),
    "audio.coarse": (wave(9, subtype="PCM_U8"), ("word", "spk_anna", "en")),
    "audio.rate": (wave(9, rate=4_000), ("word", "spk_anna", "en")),
    "audio.too_long": (wave(9, seconds=61), ("word", "spk_anna", "en")),
    "audio.too_short": (wave(9, seconds=0.01), ("word", "spk_anna", "en")),
    "audio.silent": (SILENCE, ("word", "spk_anna", "en")),
    "audio.duplicate": (wave(0), ("word", "spk_anna", "en")),
    "transcript.missing": (wave(9), (" ", "spk_anna", "en")),
    "transcript.too_long": (wave(9), ("x" * 2001, "spk_anna", "en")),
    "transcript.encoding": (wave(9), ("caf\x82", "spk_anna", "en")),
    "subject.missing": (wave(9), ("word", "", "en")),
    "subject.invalid": (wave(9), ("word", "Anna Smith", "en")),
    "language.invalid": (wave(9), ("word", "spk_anna", "English")),
}


@pytest.fixture
def studio(tmp_path: Path) -> Path:
    """Two good recordings, then one of every fault, then one that is not there."""
    folder = tmp_path / "studio"
    put(folder / "0.wav", wave(0))
    put(folder / "1.wav", wave(1, rate=22_050))
    rows = [("0.wav", "one", "spk_anna", "en"), ("1.wav", "uno", "spk_ben0", "es")]
    for code, (data, said) in BAD.items():
        put(folder / code, data)
        rows.append((code, *said))
    listing(folder, *rows, ("9.wav", "gone", "spk_anna", "en"))
    return folder


def custodians_answer(home: Path, folder: Path, **wishes: object) -> tuple[list[tuple[str, str]], int]:
    """(file, code) of what it set aside, and how many it sealed."""
    desk = open_desk(make_desk(home, FakeCustody()))
    request = {"dataset": "digits", "agreement": "dsa-2026-0001", "set_aside": True, **wishes}
    lines = list(seal_upload(desk, STEWARD, _upload(request, read_folder(folder, Defaults()))))
    aside = [(line["file"], line["code"]) for line in lines if line["event"] == "set_aside"]
    return aside, lines[-1]["records"]


@pytest.mark.parametrize(
    "wishes", [{}, {"downmix": True}, {"max_seconds": 70.0}, {"max_seconds": 0.1}], ids=repr
)
def test_a_rehearsal_and_the_sealing_itself_agree(
    studio: Path, tmp_path: Path, wishes: dict[str, object]
) -> None:
    if wishes == {"max_seconds": 0.1}:
        put(studio / "2.wav", wave(5, seconds=0.08))
        with (studio / "metadata.csv").open("a") as file:
            file.write("2.wav,short,spk_anna,en\n")
    found = rehearse(read_folder(studio, Defaults()), **wishes)
    told = {(file, code) for code, files in found.problems.items() for file in files}
    aside, sealed = custodians_answer(tmp_path / "c", studio, **wishes)
    assert told == set(aside) and found.aside == len(aside)
    assert len(found.lengths) == sealed and found.read == len(aside) + sealed


def test_every_fault_has_its_code_and_its_words(studio: Path) -> None:
    found = rehearse(read_folder(studio, Defaults()))
    assert found.problems == {**{code: [code] for code in BAD}, "audio.missing": ["9.wav"]}
    assert set(found.problems) == set(PROBLEMS) and all(why and mend for why, mend in PROBLEMS.values())


def test_the_sums_are_those_of_what_would_be_sealed(studio: Path) -> None:
    found = rehearse(read_folder(studio, Defaults()), downmix=True)
    assert found.people == {"spk_anna": 2, "spk_ben0": 1} and found.languages == {"en": 2, "es": 1}
    assert found.rates == {16_000: 2, 22_050: 1} and found.channels == {1: 2, 2: 1}
    assert found.hours == pytest.approx(0.6 / 3600)
    told = found.to_json()
    assert (told["records"], told["set_aside"], told["read"]) == (3, len(BAD), 3 + len(BAD))
    assert told["lengths_s"] == [{"since": 0.2, "until": 0.3, "count": 3}]


@pytest.mark.parametrize("name", STUDIOS)
def test_a_good_folder_of_each_layout_has_no_problem(name: str, tmp_path: Path) -> None:
    STUDIOS[name](tmp_path)
    found = rehearse(read_folder(tmp_path, Defaults("spk_lj00", "en", NAMES)))
    assert found.problems == {} and found.hours > 0


SAID = {
    "text": st.one_of(st.sampled_from(["", " ", "word", "x" * 2001, "\ud800", "\ufffd", "a\tb"]), st.text()),
    "subject": st.one_of(
        st.sampled_from(["", "spk_anna", "spk_a", "Spk_anna", "spk_anna\n"]), st.text(max_size=40)
    ),
    "language": st.one_of(
        st.sampled_from(["", "en", "pt-BR", "nan-tw", "english", "en\n"]), st.text(max_size=9)
    ),
    "file": st.just("a.wav"),
}


@given(st.fixed_dictionaries(SAID))
@settings(deadline=None)
def test_whatever_was_said_is_taken_or_a_problem_with_words(facts: dict[str, str]) -> None:
    said = judge(facts)
    if isinstance(said, Fault):
        assert said.code in PROBLEMS
    else:
        assert (
            isinstance(said, Said)
            and said.text
            and (said.subject, said.language)
            == (
                facts["subject"],
                facts["language"],
            )
        )


FILES = [
    wave(3, seconds=0.06),
    wave(3, seconds=0.06, channels=2),
    wave(3, seconds=0.06, subtype="FLOAT"),
    wave(3, seconds=0.06, format="FLAC"),
    wave(3, seconds=0.06, format="AIFF"),
    wave(3, seconds=0.3, format="OGG", subtype="VORBIS"),
    wave(3, seconds=0.3, format="MP3", subtype="MPEG_LAYER_III"),
    not_a_number(),
    SILENCE,
]


@given(
    data=st.sampled_from(FILES),
    cut=st.one_of(st.none(), st.integers(0, 400)),
    at=st.integers(0, 60),
    mark=st.one_of(st.none(), st.integers(0, 255)),
    downmix=st.booleans(),
    max_seconds=st.sampled_from([0.05, 0.2, 60.0]),
)
@settings(deadline=None)
def test_whatever_the_bytes_they_are_decoded_or_a_problem_with_words(
    data: bytes, cut: int | None, at: int, mark: int | None, downmix: bool, max_seconds: float
) -> None:
    if mark is not None:
        data = data[:at] + bytes([mark]) + data[at + 1 :]
    data = data[:cut]
    found = decode(data, downmix=downmix, max_seconds=max_seconds)
    if isinstance(found, Fault):
        assert found.code in PROBLEMS
    else:
        assert isinstance(found, Decoded) and 0.05 <= found.audio.seconds <= max_seconds
        assert found.channels == 1 or (downmix and found.channels == 2)
        with soundfile.SoundFile(io.BytesIO(data)) as file:  # as it lies in the folder
            assert (found.audio.sample_rate, found.channels) == (file.samplerate, file.channels)
            assert found.audio.seconds == pytest.approx(file.frames / file.samplerate)


def test_a_damaged_file_is_named_without_a_word_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    data = wave(3, seconds=0.3, format="AIFF")
    found = [decode(data[:cut]) for cut in range(28, 43)]
    assert {one.code for one in found if isinstance(one, Fault)} == {"audio.unreadable"}
    assert all(isinstance(one, Fault) for one in found)
    assert capfd.readouterr().err == ""


LENGTHS = {
    "none": ([], []),
    "one": ([0.25], [(0.2, 0.3, 1)]),
    "a gap stays visible": ([0.25, 0.25, 0.45], [(0.2, 0.3, 2), (0.3, 0.4, 0), (0.4, 0.5, 1)]),
    "wider when they differ": ([0.5, 9.9], [(0, 1, 1), *((n, n + 1, 0) for n in range(1, 9)), (9, 10, 1)]),
}


@pytest.mark.parametrize(("lengths", "expected"), LENGTHS.values(), ids=LENGTHS)
def test_lengths_fall_into_round_bins(lengths: list[float], expected: list[tuple[float, float, int]]) -> None:
    assert [(entry.since, entry.until, entry.count) for entry in bins(lengths)] == expected


@given(st.lists(st.floats(0.05, 300), min_size=1))
def test_every_length_is_counted_once_in_a_few_bins(lengths: list[float]) -> None:
    found = bins(lengths)
    assert sum(entry.count for entry in found) == len(lengths) and len(found) <= 12
    assert found[0].since <= min(lengths) + 1e-9 and max(lengths) <= found[-1].until + 1e-9
