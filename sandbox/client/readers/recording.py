"""One recording of a folder and what is known of it, and what a layout is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.client.readers import g722

MAX_AUDIO_BYTES = 256 << 20
#: Characters of each fact that are sent: enough for the custodian to say that one is too long.
SENT = {"file": 512, "text": 10_000, "subject": 128, "language": 64}


@dataclass(frozen=True)
class Recording:
    """One file and what is known of it. ``fault`` is a stable code when it could not be read."""

    file: str
    path: Path | None
    text: str = field(repr=False)
    subject: str
    language: str
    fault: str = ""

    @property
    def _is_g722(self) -> bool:
        return self.file.lower().endswith(g722.ENDING)

    def sent(self) -> tuple[dict[str, str], bytes]:
        """What the custodian is told, and the file's bytes (of G.722, which has no header, a WAV's): none with a fault.

        A file that went away or closed itself since the folder was listed is sent with that fault.
        """
        audio = b""
        fault = self.fault
        if self.path is not None and not fault:
            try:
                with self.path.open("rb") as file:
                    audio = file.read(MAX_AUDIO_BYTES + 1)
            except OSError:
                fault = "audio.unreadable"
            if len(audio) > MAX_AUDIO_BYTES // (g722.GROWS if self._is_g722 else 1):
                audio, fault = b"", "audio.unreadable"
            if self._is_g722:
                audio = g722.as_wav(audio)
        told = {name: str(getattr(self, name))[:longest] for name, longest in SENT.items()}
        return ({**told, "text": "", "fault": fault} if fault else told), audio


@dataclass(frozen=True)
class Defaults:
    """What a folder does not say itself; ``names`` maps its speakers to pseudonyms."""

    subject: str = ""
    language: str = ""
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """A way to lay recordings out in a folder.

    ``sign`` says what is looked for. ``fits`` looks at names and a listing's first line, no further. ``read`` gives
    every recording that the folder names; it raises Usage where a listing as a whole cannot be read.
    """

    name: str
    sign: str
    fits: Callable[[Path], bool]
    read: Callable[[Path, Defaults], Iterator[Recording]]


def recording(
    folder: Path, file: str, text: str, defaults: Defaults, *, subject: str = "", language: str = ""
) -> Recording:
    """``file``, relative to ``folder``, looked at: is it there, inside the folder, and not too large?"""
    subject = subject or defaults.subject
    path = folder / file
    fault = _fault(folder, path, text)
    return Recording(
        file=file.encode("utf-8", "replace").decode(),
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
    except (OSError, ValueError, RuntimeError):  # a name no file can have; a link that leads to itself
        return "audio.missing"
    return "transcript.encoding" if any("\ud800" <= mark <= "\udfff" for mark in text) else ""
