"""What a recording's facts would be set aside for: the custodian's questions in its order, asked at home."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from sandbox.errors import Usage
from sandbox.records import check_id
from sandbox.sealing.index import LANGUAGE

MAX_CHARACTERS = 2_000
UNREADABLE = ("Cc", "Cs", "Co")  # control, surrogate, private use: the traces of a wrong encoding


def transcript_fault(facts: Mapping[str, str]) -> str:
    """The code of the first fault in what is sent beside the audio (file, text, subject, language), or ""."""
    text = facts["text"]
    if facts.get("fault"):
        return facts["fault"]
    if not text.strip():
        return "transcript.missing"
    if len(text) > MAX_CHARACTERS:
        return "transcript.too_long"
    if any(
        mark == "\ufffd" or unicodedata.category(mark) in UNREADABLE for mark in text if mark not in "\t\n\r"
    ):
        return "transcript.encoding"
    if not facts["subject"]:
        return "subject.missing"
    try:
        check_id("subject", facts["subject"])
    except Usage:
        return "subject.invalid"
    return "" if LANGUAGE.fullmatch(facts["language"]) else "language.invalid"
