"""The header of an artifact as a run writes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sandbox.runs import SAFETENSORS
from sandbox.sealing.artifacts import ArtifactHeader


def artifact_header(length: int, **changes: Any) -> ArtifactHeader:
    """``length`` bytes of plaintext; ``changes`` name other fields."""
    made = ArtifactHeader(
        "r-7f3k",
        "g-91ac",
        "dsa-2026-0001",
        "model-500.safetensors",
        500,
        SAFETENSORS,
        "vault:v1:AAAA",
        length,
    )
    return replace(made, **changes)
