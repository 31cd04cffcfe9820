"""A keeper without keys: serves a job over one end of a socket pair and writes down what it hears."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sandbox.errors import FrameError
from sandbox.frames import KEEPER_TO_TRAINER, TRAINER_TO_KEEPER, Frame
from sandbox.runs import PUBLIC_FILES, SAFETENSORS, Artifact, Metric, Privacy
from sandbox.training.pipe import Pipe
from sandbox.training.worker import serve

RATE = 16_000


@dataclass
class FakeKeeper:
    """What a grant says, the utterances it opens, and everything that the trainer said."""

    parameters: Mapping[str, Any]
    metrics: Sequence[Metric] = ()
    artifacts: Sequence[Artifact] = ()
    utterances: Sequence[Mapping[str, Any]] = ()
    inputs: Mapping[str, bytes] = field(default_factory=dict)
    privacy: Privacy | None = None
    kind: str = "run"
    torch: bool = True
    threads: int = 1
    stop_at: int | None = None  # a step of progress at which it says stop
    heard: list[Frame] = field(default_factory=list)

    def run(self, recipe: Path) -> bool:
        """The whole story with the worker in this process; True when the worker ended well."""
        ours, theirs = socket.socketpair()
        keeper = threading.Thread(target=self._speak, args=(ours,), daemon=True)
        keeper.start()
        try:
            ended = serve(Pipe(theirs), recipe)
        finally:
            theirs.close()
            keeper.join(60)
            ours.close()
        assert not keeper.is_alive()
        return ended

    def job(self) -> dict[str, Any]:
        return {
            "purpose": "train",
            "kind": self.kind,
            "parameters": dict(self.parameters),
            "privacy": None if self.privacy is None else asdict(self.privacy),
            "metrics": [asdict(m) for m in self.metrics],
            "artifacts": [{**asdict(a), "steps": list(a.steps)} for a in self.artifacts],
            "inputs": list(self.inputs),
            "records": [{k: u[k] for k in ("record", "subject", "language")} for u in self.utterances],
        }

    def _speak(self, sock: socket.socket) -> None:
        pipe = Pipe(sock, hears=TRAINER_TO_KEEPER, says=KEEPER_TO_TRAINER)
        self._say(pipe, "prepare", torch=self.torch, threads=self.threads)
        self._say(pipe, "job", **self.job())
        self._say(pipe, "go")
        by_record = {u["record"]: u for u in self.utterances}
        while True:
            frame = pipe.receive()
            self.heard.append(frame)
            if frame.kind in ("end", "failed"):
                return
            if frame.kind == "want":
                for record in frame.body["records"]:
                    self._say(pipe, "utterance", **by_record[record])
            elif frame.kind == "ask":
                data = self.inputs[frame.body["path"]]
                half = len(data) // 2
                for part, last in ((data[:half], False), (data[half:], True)):
                    media = PUBLIC_FILES.get(frame.body["path"], SAFETENSORS)
                    body = {"media_type": media, "data": part, "last": last}
                    self._say(pipe, "input", path=frame.body["path"], **body)
            elif frame.kind == "progress" and self.stop_at is not None and frame.body["step"] >= self.stop_at:
                self._say(pipe, "stop", reason="asked")

    @staticmethod
    def _say(pipe: Pipe, kind: str, /, **body: Any) -> None:
        """Like the keeper, it goes on hearing when the trainer is gone: its last word may still wait in the socket."""
        with suppress(FrameError):
            pipe.send(kind, **body)

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        """The bodies of every message of this kind."""
        return [frame.body for frame in self.heard if frame.kind == kind]

    def values(self, name: str) -> dict[int, float]:
        return {body["step"]: body["value"] for body in self.of("metric") if body["name"] == name}

    def tensors(self, path: str) -> dict[str, np.ndarray[Any, Any]]:
        return {
            b["name"]: np.frombuffer(b["data"], dtype=b["dtype"]).reshape(b["shape"])
            for b in self.of("tensor")
            if b["path"] == path
        }


def utterance(
    record: str, subject: str = "spk_0001", text: str = "seven", language: str = "en", seconds: float = 0.4
) -> dict[str, Any]:
    """A made-up utterance: a hum whose pitch follows its name."""
    t = np.arange(int(seconds * RATE)) / RATE
    audio = 0.3 * np.sin(2 * np.pi * (150 + 10 * (sum(record.encode()) % 20)) * t)
    return {
        "record": record,
        "subject": subject,
        "language": language,
        "text": text,
        "sample_rate": RATE,
        "audio": audio.astype("<f4").tobytes(),
    }
