"""One recording judged as the custodian will: transcript, twin, audio; the first fault is the one that is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.sealing.audio import MAX_SECONDS
from sandbox.sealing.recording import Decoded, Fault, decode
from sandbox.sealing.transcript import Said, judge
from sandbox.statements import sha256


def examine(
    facts: Mapping[str, Any],
    audio: bytes,
    seen: set[str],
    *,
    downmix: bool = False,
    max_seconds: float = MAX_SECONDS,
) -> tuple[Said, Decoded] | str:
    """What it is, or the stable code of its fault. ``seen`` holds the digests of those that were good, and grows."""
    digest = sha256(audio)
    said = judge(facts)
    if isinstance(said, Fault):
        return said.code
    if digest in seen:
        return "audio.duplicate"
    decoded = decode(audio, downmix=downmix, max_seconds=max_seconds)
    if isinstance(decoded, Fault):
        return decoded.code
    seen.add(digest)
    return said, decoded
