"""A consignment as Party A packs it, for tests: two people, four recordings, and whatever a test changes."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.client.packing import Order, Packed, Pseudonyms, Treatment, pack
from sandbox.client.readers import Defaults, read_folder
from sandbox.consignment.envelope import IntakeKey, draw_private
from sandbox.statements import Ed25519Signer
from tests.fakes.agreement import PARTY_A
from tests.fakes.studio import wave

INTAKE = draw_private()
TEXTS = ("word nought", "word one", "word two", "word three")


def now() -> datetime:
    return datetime(2026, 11, 24, 10, tzinfo=UTC)


def studio(
    folder: Path, texts: Sequence[str] = TEXTS, speakers: Sequence[str] = ("Anna Berg", "Ben Ode")
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("file", "text", "subject", "language"))
        for number, text in enumerate(texts):
            name = f"{speakers[number % len(speakers)].split()[0].lower()}-{number}.wav"
            (folder / name).write_bytes(wave(number))
            rows.writerow((name, text, speakers[number % len(speakers)], "en"))
    return folder


def order(to: bytes = INTAKE, **changes: Any) -> Order:
    said = {
        "number": 1,
        "agreement": "dsa-2026-0001",
        "dataset": "digits",
        "categories": ("speech_sample", "text"),
        "to": IntakeKey.of_private(to),
        **changes,
    }
    return Order(**said)


def packed(
    folder: Path,
    target: Path,
    asked: Order | None = None,
    treatment: Treatment | None = None,
    signer: Ed25519Signer = PARTY_A,
) -> Packed:
    names = Pseudonyms.at(folder / "names.csv")
    found = read_folder(folder, Defaults())
    return pack(found, asked or order(), names, treatment or Treatment(), signer, target, now)


def members(data: bytes) -> list[tuple[str, bytes]]:
    """The archive's members, to be changed and put together again by ``archive``."""
    import io
    import tarfile

    with tarfile.open(fileobj=io.BytesIO(data)) as found:
        return [(info.name, found.extractfile(info).read()) for info in found.getmembers()]  # type: ignore[union-attr]


def archive(parts: Sequence[tuple[str, bytes]]) -> bytes:
    from sandbox.client import tar_stream

    return b"".join(tar_stream(parts))
