"""Folders as people have them become recordings; what cannot be read is sent with its fault, never left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox.client.readers import LAYOUTS, Defaults, Recording, read_folder, read_names, recognise
from sandbox.errors import Usage
from tests.client.studios import (
    NAMES,
    STUDIOS,
    audiofolder,
    common_voice,
    libritts,
    listing,
    plain,
    put,
    vctk,
)
from tests.fakes.studio import wave

DEFAULTS = Defaults(subject="spk_lj00", language="en", names=NAMES)

READ = {
    "CSV": [("a.wav", "one, two", "spk_anna", "en"), ("b.wav", "uno", "spk_ben0", "es")],
    "LJSpeech": [("wavs/LJ001-0001.wav", "Printing, one", "spk_lj00", "en")],
    "AudioFolder": [("audio/1.wav", "one", "spk_anna", "en"), ("audio/2.wav", "two", "spk_07", "en")],
    "VCTK": [
        ("wav48_silence_trimmed/p225/p225_001_mic1.flac", "Please call Stella.", "spk_a225", "en"),
        ("wav48_silence_trimmed/p226/p226_001_mic1.flac", "Please call Stella.", "spk_a226", "en"),
    ],
    "LibriTTS": [
        ("174/50561/174_50561_000001_000000.wav", "Doctor Smith went.", "spk_174", "en"),
        ("84/121123/84_121123_000001_000000.wav", "Doctor Smith went.", "spk_84", "en"),
    ],
    "Common Voice": [("clips/common_voice_it_1.mp3", '"Ciao" disse', "spk_c1", "it")],
}


def rows(found: list[Recording]) -> list[tuple[str, str, str, str]]:
    return [(entry.file, entry.text, entry.subject, entry.language) for entry in found]


def faults(found: list[Recording]) -> list[str]:
    return [entry.sent()[0].get("fault", "") for entry in found]


@pytest.mark.parametrize("name", STUDIOS)
def test_each_layout_is_recognised_and_read(name: str, tmp_path: Path) -> None:
    STUDIOS[name](tmp_path)
    assert recognise(tmp_path).name == name
    found = read_folder(tmp_path, DEFAULTS)
    assert rows(found) == READ[name] and not any(faults(found))
    assert all(audio == (tmp_path / facts["file"]).read_bytes() for facts, audio in (r.sent() for r in found))


def test_every_layout_has_its_studio() -> None:
    assert {layout.name for layout in LAYOUTS} == set(STUDIOS)


def test_an_unknown_folder_is_refused_in_one_line_with_all_that_was_looked_for(tmp_path: Path) -> None:
    put(tmp_path / "one.wav", wave(1))
    with pytest.raises(Usage) as caught:
        read_folder(tmp_path, DEFAULTS)
    assert caught.value.code == "folder.unknown" and "\n" not in caught.value.message
    assert all(
        layout.name in caught.value.message and layout.sign in caught.value.message for layout in LAYOUTS
    )


def test_a_folder_of_two_layouts_is_not_guessed(tmp_path: Path) -> None:
    plain(tmp_path)
    vctk(tmp_path)
    with pytest.raises(Usage, match="CSV or VCTK") as caught:
        read_folder(tmp_path, DEFAULTS)
    assert caught.value.code == "folder.ambiguous"


def test_a_listing_of_nothing_is_refused(tmp_path: Path) -> None:
    listing(tmp_path)
    with pytest.raises(Usage) as caught:
        read_folder(tmp_path, DEFAULTS)
    assert caught.value.code == "folder.empty"


UNREADABLE = {
    "a comma outside quotes": ("metadata.csv", "file,text\na.wav,Hello, world\n", "line 2"),
    "a quote that never closes": ("metadata.csv", 'file,text\na.wav,"Hello\n', "unexpected end of data"),
    "another word than JSON": ("metadata.jsonl", '{"file_name": "a.wav"}\n\nHello\n', "line 3"),
    "a list instead of an object": ("metadata.jsonl", "[1]\n", "line 1"),
    "nested without end": ("metadata.jsonl", "[" * 100_000 + "\n", "line 1"),
}


@pytest.mark.parametrize(("name", "content", "place"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_broken_listing_is_refused_with_its_place(
    name: str, content: str, place: str, tmp_path: Path
) -> None:
    put(tmp_path / name, content)
    with pytest.raises(Usage, match=place) as caught:
        read_folder(tmp_path, DEFAULTS)
    assert caught.value.code == "folder.unreadable"


NOWHERE = {
    "not there": "9.wav",
    "no name": "",
    "above the folder": "../secret.wav",
    "anywhere on the machine": "/etc/hostname",
    "by a link": "link.wav",
    "a link to itself": "loop.wav",
    "a folder": "sub",
    "no name of a file": "a\0b.wav",
    "too long a name": "x" * 5000,
}


@pytest.mark.parametrize("file", NOWHERE.values(), ids=NOWHERE)
def test_a_file_that_is_not_in_the_folder_is_missing_and_never_read(file: str, tmp_path: Path) -> None:
    folder = tmp_path / "studio"
    put(tmp_path / "secret.wav", wave(7))
    put(folder / "sub" / "x", "x")
    (folder / "link.wav").symlink_to(tmp_path / "secret.wav")
    (folder / "loop.wav").symlink_to("loop.wav")
    put(folder / "metadata.jsonl", json.dumps({"file_name": file, "text": "word"}) + "\n")
    (found,) = read_folder(folder, DEFAULTS)
    facts, audio = found.sent()
    assert facts["fault"] == "audio.missing" and audio == b"" and facts["text"] == ""


def test_a_transcript_in_another_encoding_is_sent_with_that_fault_and_without_its_text(
    tmp_path: Path,
) -> None:
    plain(tmp_path)
    put(tmp_path / "metadata.csv", b"file,text\na.wav,caf\xe9\nb.wav,tea\n")
    assert faults(read_folder(tmp_path, DEFAULTS)) == ["transcript.encoding", ""]


def test_a_file_that_goes_away_meanwhile_is_sent_with_its_fault(tmp_path: Path) -> None:
    plain(tmp_path)
    found = read_folder(tmp_path, DEFAULTS)
    (tmp_path / "a.wav").unlink()
    assert faults(found) == ["audio.unreadable", ""]


def test_a_file_too_large_to_send_is_sent_with_its_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain(tmp_path)
    listed = read_folder(tmp_path, DEFAULTS)
    monkeypatch.setattr("sandbox.client.readers.recording.MAX_AUDIO_BYTES", 100)
    assert faults(read_folder(tmp_path, DEFAULTS)) == faults(listed) == ["audio.unreadable"] * 2


def test_no_fact_is_longer_than_an_upload_takes(tmp_path: Path) -> None:
    put(tmp_path / "a.wav", wave(1))
    row = {"file_name": "a.wav", "text": "\U0001f600" * 1_000_000, "speaker": "x" * 1_000_000}
    put(tmp_path / "metadata.jsonl", json.dumps(row))
    (found,) = read_folder(tmp_path, DEFAULTS)
    assert len(json.dumps(found.sent()[0])) < 1 << 18 and len(found.sent()[0]["text"]) > 2_000


def test_only_a_line_feed_ends_a_line_of_ljspeech(tmp_path: Path) -> None:
    put(tmp_path / "wavs" / "1.wav", wave(1))
    put(tmp_path / "metadata.csv", "\ufeff1|one\u2028two\r\n")
    assert [entry.text for entry in read_folder(tmp_path, DEFAULTS)] == ["one\u2028two"]


def test_vctk_audio_without_a_script_and_a_script_without_audio_are_both_sent(tmp_path: Path) -> None:
    vctk(tmp_path)
    put(tmp_path / "wav48_silence_trimmed" / "p315" / "p315_001_mic1.flac", wave(9, format="FLAC"))
    put(tmp_path / "txt" / "p225" / "p225_002.txt", "Ask her.")
    found = {entry.file.rpartition("/")[2]: entry for entry in read_folder(tmp_path, DEFAULTS)}
    assert found["p315_001_mic1.flac"].text == "" and found["p225_002.flac"].fault == "audio.missing"
    assert len(found) == 4


def test_a_script_that_cannot_be_opened_is_a_missing_transcript_of_that_recording_alone(
    tmp_path: Path,
) -> None:
    vctk(tmp_path)
    (tmp_path / "txt" / "p225" / "p225_001.txt").unlink()
    (tmp_path / "txt" / "p225" / "p225_001.txt").mkdir()
    assert [entry.text for entry in read_folder(tmp_path, DEFAULTS)] == ["", "Please call Stella."]


def test_libritts_is_read_by_its_part_and_as_a_whole_with_what_lacks_its_other_half(tmp_path: Path) -> None:
    part = tmp_path / "train-clean-100"
    libritts(part)
    put(part / "84" / "121123" / "84_121123_000002_000000.wav", wave(8, rate=24_000))
    put(part / "84" / "121123" / "84_121123_000003_000000.original.txt", "Lost.")
    texts = ["Doctor Smith went.", "Doctor Smith went.", "", "Lost."]
    for folder in (part, tmp_path):
        found = read_folder(folder, DEFAULTS)
        assert [entry.text for entry in found] == texts
        assert faults(found) == ["", "", "", "audio.missing"]
        assert {entry.subject for entry in found} == {"spk_84", "spk_174"}


def test_common_voice_without_validated_takes_its_parts_and_never_what_nobody_confirmed(
    tmp_path: Path,
) -> None:
    common_voice(tmp_path)
    whole = (tmp_path / "validated.tsv").read_text()
    (tmp_path / "validated.tsv").unlink()
    with pytest.raises(Usage):
        read_folder(tmp_path, DEFAULTS)
    put(tmp_path / "train.tsv", whole)
    put(tmp_path / "test.tsv", whole.replace("common_voice_it_1.mp3", "common_voice_it_1"))
    found = read_folder(tmp_path, DEFAULTS)
    assert [entry.file for entry in found] == ["clips/common_voice_it_1.mp3"] * 2
    assert {entry.subject for entry in found} == {"spk_c1"}


def test_common_voice_takes_neither_age_nor_gender_nor_accents(tmp_path: Path) -> None:
    common_voice(tmp_path)
    table = tmp_path / "validated.tsv"
    put(table, table.read_text().replace("\t\t\t\t\tit", "\tseventies\tfemale\tMilano\t\tit"))
    assert "seventies" in table.read_text()
    (found,) = read_folder(tmp_path, DEFAULTS)
    assert set(found.sent()[0]) == {"file", "text", "subject", "language"}
    assert "seventies" not in json.dumps(found.sent()[0])


def test_a_client_id_without_a_translation_stays_a_name(tmp_path: Path) -> None:
    common_voice(tmp_path)
    (found,) = read_folder(tmp_path, Defaults(subject="spk_anna"))
    assert found.subject == "c1" * 64


def test_audiofolder_is_read_from_its_splits_and_from_a_table(tmp_path: Path) -> None:
    audiofolder(tmp_path / "test")
    put(tmp_path / "train" / "3.wav", wave(3))
    put(
        tmp_path / "train" / "metadata.csv",
        'split,"file_name",sentence,subject\ntrain,3.wav,three,spk_ben0\n',
    )
    found = read_folder(tmp_path, DEFAULTS)
    assert [entry.file for entry in found] == ["test/audio/1.wav", "test/audio/2.wav", "train/3.wav"]
    assert found[2].text == "three" and not any(faults(found))


ODD_WORDS = {
    "a speaker of another kind is not replaced by the default": (
        {"text": "x", "speaker": ["a"]},
        ("x", '["a"]'),
    ),
    "no speaker is the default": ({"text": "x", "speaker": None}, ("x", "spk_lj00")),
    "an object is no transcript": ({"text": {"en": "x"}}, ("", "spk_lj00")),
    "a number is spoken": ({"text": 0}, ("0", "spk_lj00")),
    "an empty text gives way to the next": ({"text": "", "sentence": "x"}, ("x", "spk_lj00")),
}


@pytest.mark.parametrize(("row", "expected"), ODD_WORDS.values(), ids=ODD_WORDS)
def test_audiofolders_words(row: dict[str, object], expected: tuple[str, str], tmp_path: Path) -> None:
    put(tmp_path / "a.wav", wave(1))
    put(tmp_path / "metadata.jsonl", json.dumps({"file_name": "a.wav", **row}))
    (found,) = read_folder(tmp_path, DEFAULTS)
    assert (found.text, found.subject) == expected


def test_a_list_of_speakers_is_read_and_a_broken_one_names_its_line(tmp_path: Path) -> None:
    put(tmp_path / "names.csv", "\ufeffp225, spk_a225\n\n84,spk_84,of 2019\n")
    assert read_names(tmp_path / "names.csv") == {"p225": "spk_a225", "84": "spk_84"}
    for content in ("p225\n", b"p\xe9,spk_a\n", 'p,"spk_a\n'):
        put(tmp_path / "names.csv", content)
        with pytest.raises(Usage, match=r"names\.csv is no list of speakers"):
            read_names(tmp_path / "names.csv")
