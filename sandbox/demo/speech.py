"""Real recorded speech for the demonstration: Debian's ``asterisk-core-sounds-*``, from the packages to plain folders.

Audio comes from the ``-g722`` twins through ffmpeg (16 kHz, mono, 16 bit), texts from
``/usr/share/doc/asterisk-core-sounds-*/core-sounds-*.txt.gz``. A folder holds wav files, ``metadata.csv`` (file, text,
subject, language) and ``ATTRIBUTION``, which the licences ask to keep. The subject is the **person**: the English and
the Spanish voice are one speaker. No audio is ever committed.
"""

from __future__ import annotations

import csv
import gzip
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import Usage

SOUNDS = Path("/usr/share/asterisk/sounds")
TEXTS = Path("/usr/share/doc")
SAMPLE_RATE = 16_000  # Hz
G722_BYTES_PER_S = 8_000  # 64 kbit/s, so a file's size tells its length

NUMBERS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]  # the 21 words that are trained and then evaluated
_DIGITS = [
    *map(str, range(21)),
    *(str(tens) for tens in range(30, 100, 10)),
    "hundred",
    "thousand",
    "million",
]
_SAID = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ,.'’!?:;-]*")  # a text that is spoken as it is written


@dataclass(frozen=True)
class Voice:
    """One recorded voice: its language, its folder of sounds, who speaks, and the terms it is given under."""

    language: str
    folder: str
    person: str
    credit: str
    licence: str


VOICES = (
    Voice("en", "en_US_f_Allison", "allison", "Copyright 2003-2010 Allison Smith (English)", "CC-BY-SA-3.0"),
    Voice("es", "es_MX_f_Allison", "allison", "Copyright 2003-2010 Allison Smith (Spanish)", "CC-BY-SA-3.0"),
    Voice("fr", "fr_CA_f_June", "june", "Copyright 2006-2008 June Wallack (French)", "CC-BY-SA-3.0"),
    Voice("it", "it_IT_m_Carlo", "carlo", "Copyright 2012 Carlo Flora (Italian)", "CC-BY-3.0"),
    Voice(
        "ru",
        "ru_RU_f_IvrvoiceRU",
        "ivrvoice",
        "Copyright 2010 Maxim Topal, ivrvoice.ru (Russian)",
        "CC-BY-3.0",
    ),
)
PEOPLE = tuple(dict.fromkeys(voice.person for voice in VOICES))  # four


@dataclass(frozen=True)
class Recording:
    """One g722 file and what is said in it."""

    name: str  # "digits/7"
    source: Path
    text: str
    voice: Voice

    @property
    def seconds(self) -> float:
        return self.source.stat().st_size / G722_BYTES_PER_S


def gather_digits(folder: Path, subject: str) -> int:
    """31 recordings of the English voice: zero to twenty, the tens, hundred, thousand, million.

    ``subject`` is the speaker's pseudonym (``spk_...``), given by the caller. Returns how many were written.

    Raises:
        Usage: a package or ffmpeg is missing.
    """
    english = VOICES[0]
    texts = _texts(english.language)
    chosen = [_recording(english, f"digits/{name}", texts) for name in _DIGITS]
    return _write(folder, chosen, {english.person: subject})


def gather_sentences(folder: Path, subject: str, *, seconds: tuple[float, float] = (0.5, 6.0)) -> int:
    """What the English voice says in words: some 500 recordings, a quarter of an hour, single words to sentences.

    Left out are recordings of other lengths than ``seconds``, tones, and texts that are not spoken as they are written.
    Returns how many were written.

    Raises:
        Usage: a package or ffmpeg is missing.
    """
    english = VOICES[0]
    texts = _texts(english.language)
    if not texts or not all(_path(english, f"digits/{name}").is_file() for name in _DIGITS):
        raise _missing(english.language)
    named = [
        name for name in sorted(texts) if _SAID.fullmatch(texts[name]) and _path(english, name).is_file()
    ]
    found = [_recording(english, name, texts) for name in named]
    chosen = [r for r in found if seconds[0] <= r.seconds <= seconds[1]]
    return _write(folder, chosen, {english.person: subject})


def gather_voices(
    folder: Path,
    subjects: Mapping[str, str],
    *,
    per_language: int = 24,
    seconds: tuple[float, float] = (0.8, 3.0),
) -> int:
    """A multi-speaker set: the first ``per_language`` utterances of each language whose length lies in ``seconds``.

    ``subjects`` maps each of :data:`PEOPLE` to a pseudonym. Returns how many recordings were written.

    Raises:
        Usage: a package or ffmpeg is missing, or a person has no pseudonym.
    """
    missing = [person for person in PEOPLE if person not in subjects]
    if missing:
        raise Usage(
            f"no pseudonym was given for {len(missing)} of {len(PEOPLE)} people",
            code="speech.subject_missing",
        )
    chosen: list[Recording] = []
    for voice in VOICES:
        texts = _texts(voice.language)
        found = (_recording(voice, name, texts) for name in sorted(texts) if _path(voice, name).is_file())
        fitting = [r for r in found if r.text and seconds[0] <= r.seconds <= seconds[1]]
        chosen += fitting[:per_language]
    return _write(folder, chosen, subjects)


def _path(voice: Voice, name: str) -> Path:
    return SOUNDS / voice.folder / f"{name}.g722"


def _recording(voice: Voice, name: str, texts: Mapping[str, str]) -> Recording:
    path = _path(voice, name)
    if not path.is_file() or name not in texts:
        raise _missing(voice.language)
    return Recording(name, path, texts[name], voice)


def _texts(language: str) -> dict[str, str]:
    """``{sound: what is said}``; lines are ``name: text``, comments start with a semicolon."""
    listing = TEXTS / f"asterisk-core-sounds-{language}" / f"core-sounds-{language}.txt.gz"
    try:
        lines = gzip.decompress(listing.read_bytes()).decode("utf-8-sig").splitlines()
    except OSError:
        raise _missing(language) from None
    pairs = (line.partition(":") for line in lines if not line.startswith(";"))
    return {name.strip(): text.strip(' .…"“”') for name, colon, text in pairs if colon}


def _missing(language: str) -> Usage:
    packages = f"asterisk-core-sounds-{language} asterisk-core-sounds-{language}-g722"
    return Usage(
        f"the recorded speech of language {language} is not on this machine",
        code="speech.missing",
        mend=f"install it: apt-get install {packages}",
    )


def _write(folder: Path, recordings: Sequence[Recording], subjects: Mapping[str, str]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    targets = [f"{r.voice.language}-{r.name.replace('/', '-')}.wav" for r in recordings]
    for start in range(0, len(recordings), 32):
        batch = slice(start, start + 32)
        _convert([r.source for r in recordings[batch]], [folder / name for name in targets[batch]])
    with open(folder / "metadata.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "text", "subject", "language"])
        for target, r in zip(targets, recordings, strict=True):
            rows.writerow([target, r.text, subjects[r.voice.person], r.voice.language])
    voices = dict.fromkeys(r.voice for r in recordings)
    (folder / "ATTRIBUTION").write_text(attribution(list(voices)), encoding="utf-8")
    return len(recordings)


def attribution(voices: Sequence[Voice] = VOICES) -> str:
    """The credit that must go wherever the recordings go."""
    lines = [f"  {voice.credit}, licence {voice.licence}" for voice in voices]
    return "\n".join(
        [
            "Voice prompts of the Asterisk core sounds, from the Debian packages asterisk-core-sounds-*,",
            "source http://downloads.asterisk.org/pub/telephony/asterisk/",
            "Changed: converted from G.722 to 16 kHz WAV.",
            *lines,
            "",
        ]
    )


def command(sources: Sequence[Path], targets: Sequence[Path]) -> list[str]:
    """ffmpeg's argv: many raw G.722 files in, as many 16 kHz mono wav files out."""
    argv = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y"]
    for source in sources:
        argv += ["-f", "g722", "-i", str(source)]
    for index, target in enumerate(targets):
        argv += ["-map", f"{index}:a", "-ar", str(SAMPLE_RATE), "-ac", "1", "-bitexact", str(target)]
    return argv


def _convert(sources: Sequence[Path], targets: Sequence[Path]) -> None:
    try:
        subprocess.run(command(sources, targets), check=True, capture_output=True)
    except FileNotFoundError:
        raise Usage(
            "ffmpeg is not on this machine", code="speech.no_ffmpeg", mend="apt-get install ffmpeg"
        ) from None
    except subprocess.CalledProcessError:
        raise Usage(
            f"ffmpeg could not convert the recordings in {sources[0].parent}", code="speech.unreadable"
        ) from None
