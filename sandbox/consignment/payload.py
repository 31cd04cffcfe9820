"""What one file of a consignment holds: ``u32 length | facts as JSON | the recording's bytes``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.errors import ConsignmentError

MAX_FACTS_BYTES = 1 << 20


def pack_recording(facts: Mapping[str, Any], audio: bytes) -> bytes:
    said = json.dumps(dict(facts), ensure_ascii=False).encode()
    return len(said).to_bytes(4, "big") + said + audio


def open_recording(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Facts and audio. Raises ConsignmentError."""
    length = int.from_bytes(data[:4], "big")
    try:
        if len(data) < 4 + length or length > MAX_FACTS_BYTES:
            raise ValueError
        facts = json.loads(data[4 : 4 + length])
        if not isinstance(facts, dict):
            raise ValueError
    except (ValueError, RecursionError):
        raise ConsignmentError("a file holds no recording", code="consignment.payload_invalid") from None
    return facts, data[4 + length :]
