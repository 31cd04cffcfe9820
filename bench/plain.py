"""A recipe outside the sandbox: the same recipe and the same loop, on plain wav files.

    .venv-train/bin/python bench/plain.py < order.json

The order is JSON: ``recipe`` (its folder), ``speech`` (a folder with metadata.csv and wav files), ``keep`` (where
checkpoints go), ``threads``, and what a grant would say: ``parameters``, ``metrics``, ``artifacts``. Every progress
message of the run is printed as one line of JSON.
"""

from __future__ import annotations

import csv
import json
import sys
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from safetensors.numpy import save_file

from sandbox.frames import Frame
from sandbox.training import worker
from sandbox.training.run import Job


class PlainFiles:
    """The run's channel where there is no keeper: reads wav files, writes plain checkpoints, prints progress."""

    def __init__(self, speech: Path, keep: Path) -> None:
        with open(speech / "metadata.csv", newline="", encoding="utf-8") as file:
            self.rows = {row["file"]: row for row in csv.DictReader(file)}
        self._speech, self._keep = speech, keep
        self._wanted: deque[str] = deque()
        self._tensors: dict[str, np.ndarray[Any, Any]] = {}

    def send(self, kind: str, /, **body: Any) -> None:
        match kind:
            case "want":
                self._wanted += body["records"]
            case "progress":
                sys.stdout.write(json.dumps(body) + "\n")
                sys.stdout.flush()
            case "tensor":
                flat = np.frombuffer(body["data"], dtype=body["dtype"])
                self._tensors[body["name"]] = flat.reshape(body["shape"])
            case "close":
                save_file(self._tensors, self._keep / body["path"])
                self._tensors = {}

    def receive(self) -> Frame:
        row = self.rows[self._wanted.popleft()]
        audio, rate = soundfile.read(self._speech / row["file"], dtype="float32")
        body = {"record": row["file"], "subject": row["subject"], "language": row["language"]}
        body |= {"text": row["text"], "sample_rate": int(rate), "audio": audio.astype("<f4").tobytes()}
        return Frame("utterance", 1, body)

    def pending(self) -> list[Frame]:
        return []


def main(order: Mapping[str, Any]) -> None:
    channel = PlainFiles(Path(order["speech"]), Path(order["keep"]))
    listed = [{"record": name, **channel.rows[name]} for name in channel.rows]
    said = {name: order[name] for name in ("parameters", "metrics", "artifacts")}
    job = Job.from_body(
        {"purpose": "train", "kind": "run", "privacy": None, "inputs": [], "records": listed, **said}
    )
    worker.prepare(Frame("prepare", 1, {"torch": True, "threads": order["threads"]}))
    worker.perform(worker.load(Path(order["recipe"])), job, channel)


if __name__ == "__main__":
    main(json.load(sys.stdin))
