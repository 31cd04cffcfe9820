"""A recipe outside the sandbox: the same recipe and the same loop, on plain wav files.

    .venv-train/bin/python bench/plain.py < order.json

The order is JSON: ``recipe`` (its folder), ``speech`` (a folder with metadata.csv and wav files, or null), ``keep``
(where checkpoints, sounds and reports go), ``threads``, ``started`` (when, in seconds of ``time.time``), ``inputs``
(name -> a safetensors file, or left out), and what a grant would say: ``parameters``, ``metrics``, ``artifacts``.

Every progress message of the run is printed as one line of JSON, and so are ``first_step_s`` (from ``started``),
``waited_s`` (for batches) of ``stepped_s``, and ``peak_mb``, the most memory that the process held.
"""

from __future__ import annotations

import csv
import json
import resource
import shutil
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import soundfile

from sandbox.frames import Frame
from sandbox.runs import SAFETENSORS
from sandbox.training import loop, worker
from sandbox.training.run import Job

#: numpy's names, and those of safetensors.
DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip


class Saving:
    """A safetensors file, written a tensor at a time: no second copy of a model is held."""

    def __init__(self, path: Path, notes: Mapping[str, str]) -> None:
        self._path, self._part = path, path.with_suffix(".part")
        self._header: dict[str, Any] = {"__metadata__": dict(notes)}
        self._part.write_bytes(b"")

    def add(self, name: str, dtype: str, shape: Sequence[int], data: bytes) -> None:
        with open(self._part, "ab") as part:
            end = part.tell() + part.write(data)
        where = [end - len(data), end]
        self._header[name] = {"dtype": DTYPES[dtype], "shape": list(shape), "data_offsets": where}

    def close(self) -> None:
        header = json.dumps(self._header).encode()
        with open(self._path, "wb") as whole, open(self._part, "rb") as data:
            whole.write(struct.pack("<Q", len(header)) + header)
            shutil.copyfileobj(data, whole)
        self._part.unlink()


class PlainFiles:
    """The run's channel where there is no keeper: reads wav files, writes plain files, prints progress."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        speech = None if order["speech"] is None else Path(order["speech"])
        self.rows: dict[str, dict[str, str]] = {}
        if speech is not None:
            with open(speech / "metadata.csv", newline="", encoding="utf-8") as file:
                self.rows = {row["file"]: row for row in csv.DictReader(file)}
        self._speech, self._keep, self._inputs = speech, Path(order["keep"]), order.get("inputs", {})
        self._started, self._going = float(order["started"]), False
        self._owed: deque[Frame] = deque()
        self._wanted: deque[str] = deque()
        self._saving: Saving | None = None

    def send(self, kind: str, /, **body: Any) -> None:
        match kind:
            case "want":
                self._wanted += body["records"]
            case "ask":
                data = Path(self._inputs[body["path"]]).read_bytes()
                told = {"path": body["path"], "media_type": SAFETENSORS, "data": data, "last": True}
                self._owed.append(Frame("input", 1, told))
            case "progress":
                if not self._going:
                    self._going = True
                    say({"first_step_s": time.time() - self._started})
                say(body)
            case "artifact" if body["media_type"] == SAFETENSORS:
                self._saving = Saving(self._place(body["path"]), body["metadata"])
            case "tensor" if self._saving:
                self._saving.add(body["name"], body["dtype"], body["shape"], body["data"])
            case "sound":
                audio = np.frombuffer(body["audio"], dtype="<f4")
                soundfile.write(self._place(body["path"]), audio, body["sample_rate"])
            case "report":
                self._place(body["path"]).write_bytes(body["data"])
            case "close" if self._saving:
                self._saving.close()
                self._saving = None

    def receive(self) -> Frame:
        if self._owed:
            return self._owed.popleft()
        row = self.rows[self._wanted.popleft()]
        audio, rate = soundfile.read(Path(self._speech or "") / row["file"], dtype="float32")
        body = {"record": row["file"], "subject": row["subject"], "language": row["language"]}
        body |= {"text": row["text"], "sample_rate": int(rate), "audio": audio.astype("<f4").tobytes()}
        return Frame("utterance", 1, body)

    def pending(self) -> list[Frame]:
        return []

    def _place(self, path: str) -> Path:
        place = self._keep / path
        place.parent.mkdir(parents=True, exist_ok=True)
        return place


def say(told: Mapping[str, Any], out: TextIO = sys.stdout) -> None:
    out.write(json.dumps(told) + "\n")
    out.flush()


def cost() -> Mapping[str, float]:
    """What this process took at its peak."""
    return {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def timed(train: Callable[..., loop.Timing]) -> Callable[..., None]:
    """``loop.train`` that says how much of it was waiting for data."""

    def training(*what: Any, **how: Any) -> None:
        found = train(*what, **how)
        say({"waited_s": found.waited_s, "stepped_s": found.whole_s})

    return training


def job(order: Mapping[str, Any], channel: PlainFiles) -> Job:
    """The order as a grant would say it."""
    inputs = list(order.get("inputs", {}))
    said = {name: order[name] for name in ("parameters", "metrics", "artifacts")}
    said |= {"purpose": "evaluate" if "model" in inputs else "train", "kind": "run", "privacy": None}
    listed = [{"record": name, **row} for name, row in channel.rows.items()]
    return Job.from_body({**said, "inputs": inputs, "records": listed})


def main(order: Mapping[str, Any]) -> None:
    channel = PlainFiles(order)
    asked = job(order, channel)
    worker.prepare(Frame("prepare", 1, {"torch": True, "threads": order["threads"]}))
    loop.train = timed(loop.train)
    worker.warm(asked)
    worker.perform(worker.load(Path(order["recipe"])), asked, channel)
    say(cost())


if __name__ == "__main__":
    main(json.load(sys.stdin))
