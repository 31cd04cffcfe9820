"""Recordings and consents as Party A would send them, and a desk with an agreement in force."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.client import tar_stream
from sandbox.custodian.desk import Desk, Vault
from sandbox.custodian.people import first_person
from sandbox.custodian.registers import Registers
from sandbox.custodian.status import activate
from sandbox.statements import Ed25519Signer, PublicKey, Signer
from tests.fakes.agreement import PARTY_A, PARTY_B, agreement_yaml, signed

STEWARD = "a.approver.1"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


def make_desk(
    home: Path, vault: Vault, signer: Signer | None = None, keys: list[PublicKey] | None = None
) -> Desk:
    own = Ed25519Signer(Ed25519PrivateKey.generate())
    signer, trusted = (own, [own.public]) if signer is None or keys is None else (signer, keys)
    for name in ("sealed", "agreements", "registers"):
        (home / name).mkdir(parents=True, exist_ok=True)
    clock = Clock()
    registers = Registers(home / "registers", vault, signer, lambda: trusted, clock)
    return Desk(home / "sealed", home / "agreements", vault, registers, signer, lambda: trusted, clock)


def open_desk(desk: Desk, **agreement: str) -> Desk:
    """With the first person entered and the agreement active."""
    first_person(desk, STEWARD, lambda password: None)
    activate(desk, STEWARD, activation(agreement_yaml(**agreement)))
    return desk


def activation(data: bytes, envelope: bytes | None = None) -> dict[str, Any]:
    return {
        "agreement": base64.b64encode(data).decode(),
        "envelope": base64.b64encode(envelope or signed(data)).decode(),
        "party_a_key": PARTY_A.public.text,
        "party_b_key": PARTY_B.public.text,
    }


def wave(seed: int = 0, seconds: float = 0.2, rate: int = 16_000, channels: int = 1, **options: Any) -> bytes:
    """A short tone as a file; another ``seed``, another tone."""
    time = np.arange(int(seconds * rate)) / rate  # [T]
    tone = 0.3 * np.sin(2 * np.pi * (200 + 10 * seed) * time)
    target = io.BytesIO()
    options = {"format": "WAV", "subtype": "PCM_16", **options}
    soundfile.write(target, np.stack([tone] * channels, axis=1), rate, **options)
    return target.getvalue()


def facts(number: int, subject: str = "spk_anna", **changes: Any) -> dict[str, Any]:
    return {
        "file": f"wavs/{number}.wav",
        "text": f"word {number}",
        "subject": subject,
        "language": "en",
        **changes,
    }


def upload(
    recordings: Iterable[tuple[Mapping[str, Any], bytes]], dataset: str = "digits", **request: Any
) -> Iterator[bytes]:
    def members() -> Iterator[tuple[str, bytes]]:
        asked = {"dataset": dataset, "agreement": "dsa-2026-0001", **request}
        yield "request.json", json.dumps(asked).encode()
        for number, (said, audio) in enumerate(recordings):
            yield f"{number:06d}.json", json.dumps(said).encode()
            yield f"{number:06d}.audio", audio

    return tar_stream(members())


def consent(subject: str = "spk_anna", dataset: str = "digits", **changes: Any) -> dict[str, Any]:
    scope = {"process_voice_biometric": True, "ai_synthesis_of_my_voice": True, **changes.pop("scope", {})}
    return {
        "subject": subject,
        "dataset": dataset,
        "status": "ConsentGiven",
        "given_at": "2026-01-05T10:12:00+08:00",
        "expires": "2027-01-31T23:59:59+08:00",
        "age_band": "adult",
        "evidence": {"sha256": "8" * 64},
        "scope": scope,
        **changes,
    }
