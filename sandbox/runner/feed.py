"""Utterances for the trainer: decrypted and decoded on threads, ahead of need, in the order that was asked.

Plaintext lives here and in the trainer's memory, and nowhere else. Decryption and FLAC decoding release the GIL.
"""

from __future__ import annotations

import csv
import io
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile

from sandbox.errors import RecipeError, SandboxError
from sandbox.sealing.reader import SealedDataset

AHEAD = 16  # utterances decoded before the trainer has read them
WORKERS = 2


@dataclass(frozen=True)
class Utterance:
    """One decoded utterance: mono float32 [T] at ``sample_rate`` Hz, and its transcript."""

    record: str
    subject: str
    language: str
    text: str = field(repr=False)
    sample_rate: int
    audio: bytes = field(repr=False)


class Source(Protocol):
    """Where utterances come from. ``listing`` shows lengths, never content; ``open`` may be called from any thread."""

    def listing(self) -> list[dict[str, Any]]:
        """``{record, subject, language, samples, sample_rate, characters}`` for every record that may be read."""
        ...

    def open(self, record: str) -> Utterance:
        """Decrypt and decode one record."""
        ...


class SealedSource:
    """Records of the grant's subjects in a sealed dataset."""

    def __init__(self, dataset: SealedDataset) -> None:
        self._dataset = dataset

    def listing(self) -> list[dict[str, Any]]:
        return [
            {
                "record": row.record,
                "subject": row.subject,
                "language": row.language,
                "samples": row.samples,
                "sample_rate": row.sample_rate,
                "characters": row.characters,
            }
            for row in self._dataset.rows
        ]

    def open(self, record: str) -> Utterance:
        opened = self._dataset.read(record)
        audio, rate = decode(opened.flac)
        return Utterance(record, opened.subject, opened.language, opened.text, rate, audio)


class PublicSource:
    """A dry run's public speech: plain files and their ``metadata.csv`` (file,text,subject,language)."""

    def __init__(self, folder: Path) -> None:
        rows = csv.DictReader(io.StringIO((folder / "metadata.csv").read_text("utf-8")))
        self._folder = folder
        self._rows: dict[str, Mapping[str, str]] = {f"p{n:05d}": row for n, row in enumerate(rows)}

    def listing(self) -> list[dict[str, Any]]:
        listed = []
        for record, row in self._rows.items():
            facts = soundfile.info(str(self._folder / row["file"]))
            listed.append(
                {
                    "record": record,
                    "subject": row["subject"],
                    "language": row["language"],
                    "samples": facts.frames,
                    "sample_rate": facts.samplerate,
                    "characters": len(row["text"]),
                }
            )
        return listed

    def open(self, record: str) -> Utterance:
        row = self._rows[record]
        audio, rate = decode((self._folder / row["file"]).read_bytes())
        return Utterance(record, row["subject"], row["language"], row["text"], rate, audio)


def decode(data: bytes) -> tuple[bytes, int]:
    """Little-endian float32 bytes of mono audio and its rate in Hz, decoded in memory."""
    samples, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    if samples.shape[1] != 1:
        raise RecipeError("a record is not mono", code="record.channels")
    return np.ascontiguousarray(samples[:, 0], dtype="<f4").tobytes(), int(rate)


class Deliver(Protocol):
    """Hands one utterance to the trainer."""

    def __call__(self, utterance: Utterance) -> None: ...


class Feed:
    """Delivers wanted records in order; never more than ``AHEAD`` are decoded and undelivered."""

    def __init__(self, source: Source, deliver: Deliver, failed: Any) -> None:
        self._source, self._deliver, self._failed = source, deliver, failed
        self._known = {row["record"] for row in source.listing()}
        self._wanted: deque[str] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self._thread.start()

    def want(self, records: Iterable[str]) -> None:
        """Append to the order. Raises RecipeError for a record that this run may not read."""
        asked = [str(record) for record in records]
        if not self._known.issuperset(asked):
            raise RecipeError("the recipe asked for a record that is not in its grant", code="record.unknown")
        with self._changed:
            self._wanted.extend(asked)
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        ahead: deque[Future[Utterance]] = deque()
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="decode") as pool:
            try:
                while True:
                    with self._changed:
                        self._changed.wait_for(lambda: self._closed or bool(self._wanted) or bool(ahead))
                        if self._closed:
                            return
                        while self._wanted and len(ahead) < AHEAD:
                            ahead.append(pool.submit(self._source.open, self._wanted.popleft()))
                    self._deliver(ahead.popleft().result())
            except SandboxError as fault:
                self._failed(fault)
            except Exception:  # noqa: BLE001 - a decoder's exception may quote content; its class is all we keep
                self._failed(RecipeError("a record could not be decoded", code="record.undecodable"))
