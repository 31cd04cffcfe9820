"""A studio's folder as recordings to be sealed: LJSpeech, VCTK and a plain ``metadata.csv``. Read one file at a time.

What cannot be read is not skipped: it is sent with its fault, and set aside with the others by the custodian, which
judges everything. Speakers are named as the folder names them, or as ``names`` translates them to pseudonyms.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.errors import Usage

MAX_AUDIO_BYTES = 256 << 20
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".sph")


@dataclass(frozen=True)
class Recording:
    """One file and what is known of it. ``fault`` is a stable code when it could not be read."""

    file: str
    path: Path | None
    text: str = field(repr=False)
    subject: str
    language: str
    fault: str = ""

    def facts(self) -> dict[str, str]:
        """What the custodian is told beside the audio."""
        told = {"file": self.file, "text": self.text, "subject": self.subject, "language": self.language}
        return {**told, "text": "", "fault": self.fault} if self.fault else told

    def audio(self) -> bytes:
        return b"" if self.path is None or self.fault else self.path.read_bytes()


@dataclass(frozen=True)
class Defaults:
    """What a folder does not say itself; ``names`` maps its speakers to pseudonyms."""

    subject: str = ""
    language: str = ""
    names: Mapping[str, str] = field(default_factory=dict)


def read_folder(folder: Path, defaults: Defaults) -> list[Recording]:
    """Every recording that the folder's own listing names.

    Raises:
        Usage: no folder, or none of the three layouts.
    """
    listing = folder / "metadata.csv"
    if listing.is_file():
        data = listing.read_bytes().decode("utf-8-sig", "surrogateescape")
        first = data.partition("\n")[0]
        found = list(_ljspeech(folder, data, defaults) if "|" in first else _plain(folder, data, defaults))
    elif (folder / "txt").is_dir():
        found = list(_vctk(folder, defaults))
    else:
        raise Usage(
            f"{folder} holds neither metadata.csv nor txt/ and wav48*/",
            code="folder.unknown",
            mend="write a metadata.csv with the columns file,text,subject,language",
        )
    if not found:
        raise Usage(f"{folder} names no recording", code="folder.empty")
    return found


def _plain(folder: Path, data: str, defaults: Defaults) -> Iterator[Recording]:
    """``file,text,subject,language`` with a header; the last two may be missing."""
    rows = csv.DictReader(io.StringIO(data, newline=""), strict=True)
    try:
        if not {"file", "text"} <= set(rows.fieldnames or ()):
            raise Usage("metadata.csv has no columns file and text", code="folder.unknown")
        for row in rows:
            subject, language = row.get("subject") or "", row.get("language") or ""
            yield _recording(folder, row["file"] or "", row["text"] or "", subject, language, defaults)
    except csv.Error as fault:
        raise Usage(f"metadata.csv, line {rows.line_num}: {fault}", code="folder.unreadable") from None


def _ljspeech(folder: Path, data: str, defaults: Defaults) -> Iterator[Recording]:
    """``id|text|normalised text``, audio in ``wavs/`` (https://keithito.com/LJ-Speech-Dataset)."""
    for line in data.splitlines():
        if line.strip():
            name, *texts = line.split("|")
            text = next((said for said in reversed(texts) if said.strip()), "")
            yield _recording(folder, f"wavs/{name}.wav", text, "", "", defaults)


def _vctk(folder: Path, defaults: Defaults) -> Iterator[Recording]:
    """``txt/<speaker>/<id>.txt`` and ``wav48*/<speaker>/<id>[_mic1].{flac,wav}`` (doi:10.7488/ds/2645)."""
    sounds = sorted(path for path in folder.glob("wav*") if path.is_dir())
    for script in sorted((folder / "txt").glob("*/*.txt")):
        speaker, name = script.parent.name, script.stem
        places = (
            f"{root.name}/{speaker}/{name}{ending}"
            for root in sounds
            for ending in ("_mic1.flac", ".flac", ".wav")
        )
        file = next((place for place in places if (folder / place).is_file()), f"wav48/{speaker}/{name}")
        text = script.read_bytes().decode("utf-8-sig", "surrogateescape").strip()
        yield _recording(folder, file, text, speaker, "", defaults)


def _recording(
    folder: Path, file: str, text: str, subject: str, language: str, defaults: Defaults
) -> Recording:
    subject = subject or defaults.subject
    path = folder / file
    shown = file.encode("utf-8", "replace").decode()
    fault = _fault(folder, path, text)
    return Recording(
        file=shown,
        path=None if fault == "audio.missing" else path,
        text=text,
        subject=defaults.names.get(subject, subject),
        language=language or defaults.language,
        fault=fault,
    )


def _fault(folder: Path, path: Path, text: str) -> str:
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
        if not inside or not path.is_file():
            return "audio.missing"
        if path.stat().st_size > MAX_AUDIO_BYTES:
            return "audio.unreadable"
    except (OSError, ValueError):
        return "audio.missing"
    return "transcript.encoding" if any("\udc80" <= mark <= "\udcff" for mark in text) else ""
