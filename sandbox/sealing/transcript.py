"""What was said in a recording, by whom, in which language: as given, judged, never mended."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.errors import Usage
from sandbox.records import check_id
from sandbox.sealing.index import LANGUAGE
from sandbox.sealing.recording import Fault

MAX_CHARACTERS = 2_000
CLIENT_FAULTS = ("audio.missing", "audio.unreadable", "transcript.encoding", "transcript.missing")
_UNREADABLE = ("Cc", "Cs", "Co")  # control, surrogate, private use: the traces of a wrong encoding


@dataclass(frozen=True)
class Said:
    """The personal side of a record. ``file`` is the name it had with Party A; it is sealed with the record."""

    subject: str
    language: str
    text: str = field(repr=False)
    file: str = field(repr=False)


def judge(facts: Mapping[str, Any]) -> Said | Fault:
    """``facts``: file, text, subject, language; ``fault`` when the reader on the other side found one."""
    if facts.get("fault"):
        code = facts["fault"] if facts["fault"] in CLIENT_FAULTS else "audio.unreadable"
        return Fault(code, "found while the folder was read")
    text, subject, language = facts.get("text"), facts.get("subject"), facts.get("language")
    if not isinstance(text, str) or not text.strip():
        return Fault("transcript.missing", "there is no transcript")
    if len(text) > MAX_CHARACTERS:
        return Fault("transcript.too_long", f"more than {MAX_CHARACTERS} characters")
    if any(
        mark == "\ufffd" or unicodedata.category(mark) in _UNREADABLE for mark in text if mark not in "\t\n\r"
    ):
        return Fault("transcript.encoding", "the transcript was written in another encoding than UTF-8")
    if not subject:
        return Fault("subject.missing", "nobody is named as the speaker")
    try:
        check_id("subject", subject)
    except Usage:
        return Fault("subject.invalid", "the speaker is not a pseudonym of the form spk_…")
    if not isinstance(language, str) or not LANGUAGE.fullmatch(language):
        return Fault("language.invalid", "the language is no tag such as en or pt-BR")
    return Said(
        str(subject), language, unicodedata.normalize("NFC", text.strip()), str(facts.get("file") or "")[:512]
    )
