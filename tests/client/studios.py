"""A small folder of each layout, as its makers publish it: two speakers where it has any, every recording good."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

from tests.fakes.studio import wave

NAMES = {
    "p225": "spk_a225",
    "p226": "spk_a226",
    "84": "spk_84",
    "174": "spk_174",
    "c1" * 64: "spk_c1",
    "7": "spk_07",
}
COLUMNS = (
    "client_id", "path", "sentence_id", "sentence", "sentence_domain", "up_votes", "down_votes", "age", "gender",
    "accents", "variant", "locale", "segment",
)  # fmt: skip


def put(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def plain(folder: Path) -> None:
    put(folder / "a.wav", wave(1))
    put(folder / "b.wav", wave(2))
    put(
        folder / "metadata.csv",
        'file,text,subject,language\na.wav,"one, two",spk_anna,en\nb.wav,uno,spk_ben0,es\n',
    )


def ljspeech(folder: Path) -> None:
    put(folder / "wavs" / "LJ001-0001.wav", wave(1))
    put(folder / "metadata.csv", "LJ001-0001|Printing, 1|Printing, one\n")


def vctk(folder: Path) -> None:
    for n, speaker in enumerate(("p225", "p226")):
        put(folder / "txt" / speaker / f"{speaker}_001.txt", "Please call Stella.\n")
        for mic in (1, 2):
            sound = wave(10 * n + mic, format="FLAC")
            put(folder / "wav48_silence_trimmed" / speaker / f"{speaker}_001_mic{mic}.flac", sound)


def libritts(folder: Path) -> None:
    for n, (speaker, chapter) in enumerate((("84", "121123"), ("174", "50561"))):
        stem = folder / speaker / chapter / f"{speaker}_{chapter}_000001_000000"
        put(stem.with_name(stem.name + ".wav"), wave(n, rate=24_000))
        put(stem.with_name(stem.name + ".normalized.txt"), "Doctor Smith went.")
        put(stem.with_name(stem.name + ".original.txt"), "Dr. Smith went.")
        put(stem.with_name(f"{speaker}_{chapter}.trans.tsv"), "not\tread\n")


def common_voice(folder: Path) -> None:
    put(
        folder / "clips" / "common_voice_it_1.mp3",
        wave(1, seconds=0.5, format="MP3", subtype="MPEG_LAYER_III"),
    )
    for table, client in (("validated", "c1" * 64), ("invalidated", "c2" * 64)):
        row = [client, "common_voice_it_1.mp3", "s1", '"Ciao" disse', "", "2", "0", "", "", "", "", "it", ""]
        with (folder / f"{table}.tsv").open("w") as file:
            file.write("\t".join(COLUMNS) + "\n" + "\t".join(row) + "\n")


def audiofolder(folder: Path) -> None:
    rows = [
        {"file_name": "audio/1.wav", "text": "one", "speaker": "spk_anna", "language": "en"},
        {"file_name": "audio/2.wav", "transcription": "two", "speaker_id": 7, "language": "en"},
    ]
    put(folder / "audio" / "1.wav", wave(1))
    put(folder / "audio" / "2.wav", wave(2))
    put(folder / "metadata.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


#: Name of the layout -> what lays such a folder out.
STUDIOS: dict[str, Callable[[Path], None]] = {
    "CSV": plain,
    "LJSpeech": ljspeech,
    "AudioFolder": audiofolder,
    "VCTK": vctk,
    "LibriTTS": libritts,
    "Common Voice": common_voice,
}


def listing(folder: Path, *rows: tuple[str, ...]) -> None:
    """A plain ``metadata.csv`` of these rows."""
    folder.mkdir(exist_ok=True)
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "text", "subject", "language"), *rows])
