"""``run``: all that a recipe has of the world.

It reads utterances and inputs, and hands out numbers, tensors, sounds and reports that its card declares. Nothing
else enters or leaves; the keeper and the gate check everything again. No torch here: a recipe without a model starts
at once.
"""

from __future__ import annotations

import json
import math
import struct
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sandbox.errors import FrameError, RecipeError
from sandbox.frames import Frame
from sandbox.runs import (
    FLAC,
    JSON,
    PUBLIC_FILES,
    RESUME,
    SAFETENSORS,
    Artifact,
    Metric,
    Privacy,
    is_checkpoint,
)
from sandbox.training.pipe import Channel

_AHEAD = 32  # records asked for before the first of them is used
PROGRESS_S = 1.0  # each progress takes the gate a transaction, and the training a moment of its core
PROGRESS_MANY = 10_000  # from then on the rarer the longer it has lasted: the gate takes 200 000 of one run


@dataclass(frozen=True)
class Record:
    """An utterance that may be asked for; no audio yet."""

    record: str
    subject: str
    language: str


@dataclass(frozen=True, eq=False)
class Utterance:
    """One decoded recording. ``audio`` is mono float32 in [-1, 1], [T]."""

    record: str
    subject: str
    language: str
    text: str
    sample_rate: int
    audio: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model given to the run: its tensors (torch) by name, and the notes that were saved with it."""

    tensors: Mapping[str, Any]
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Job:
    """The part of the grant that training needs."""

    purpose: str
    kind: str
    parameters: Mapping[str, Any]
    privacy: Privacy | None
    metrics: Mapping[str, Metric]
    artifacts: Mapping[str, Artifact]
    inputs: tuple[str, ...]
    records: tuple[Record, ...]

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Job:
        """Raises FrameError when the keeper's message is not a job."""
        try:
            return cls(
                purpose=body["purpose"],
                kind=body["kind"],
                parameters=dict(body["parameters"]),
                privacy=None if body["privacy"] is None else Privacy(**body["privacy"]),
                metrics={item["name"]: Metric(**item) for item in body["metrics"]},
                artifacts={
                    item["path"]: Artifact(**{**item, "steps": tuple(item["steps"])})
                    for item in body["artifacts"]
                },
                inputs=tuple(item if isinstance(item, str) else item["path"] for item in body["inputs"]),
                records=tuple(Record(r["record"], r["subject"], r["language"]) for r in body["records"]),
            )
        except (KeyError, TypeError, ValueError):
            raise FrameError("job: its fields are not those of a job") from None


class Run:
    """What ``main(run)`` gets."""

    def __init__(self, job: Job, channel: Channel) -> None:
        self._job = job
        self._channel = channel
        self._stopping = False
        self._asked: deque[str] = deque()  # records that the keeper still owes, in its order
        self._early: deque[Frame] = deque()  # those of them that came while something else was waited for
        self._progress_at = 0.0
        self._started: float | None = None
        self._saved: set[str] = set()  # each artifact leaves once

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The card's parameters with the values of this run."""
        return self._job.parameters

    @property
    def purpose(self) -> str:
        return self._job.purpose

    @property
    def records(self) -> Sequence[Record]:
        """Every record of the run's dataset, without audio."""
        return self._job.records

    @property
    def stopping(self) -> bool:
        """Whether the run was told to stop; a recipe that looks ends in order."""
        for frame in self._channel.pending():
            self._note(frame)
        return self._stopping

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of what was given to the run."""
        return self._job.inputs

    @property
    def resumes(self) -> bool:
        """Whether the run was given a checkpoint to go on from."""
        return RESUME in self._job.inputs

    # In

    def utterances(self, records: Iterable[Record] | None = None) -> list[Utterance]:
        """All of ``records`` (default: every one of the dataset), decoded, in their order."""
        return list(self.stream(records))

    def stream(self, records: Iterable[Record] | None = None) -> Iterator[Utterance]:
        """As :meth:`utterances`, one at a time, with the next ones already on their way."""
        wanted = [r.record for r in (self.records if records is None else records)]
        asked = 0
        for index in range(len(wanted)):
            if asked - index <= _AHEAD // 2 and asked < len(wanted):
                self._channel.send("want", records=wanted[asked : asked + _AHEAD])
                self._asked += wanted[asked : asked + _AHEAD]
                asked += _AHEAD
            yield self._delivered(wanted[index])

    def _delivered(self, record: str) -> Utterance:
        """The next delivery of ``record``; what a stream that was left had asked for is passed over."""
        while self._asked:
            body = (self._early.popleft() if self._early else self._expect("utterance")).body
            if body["record"] != self._asked.popleft():
                raise FrameError("the keeper sent another record than the one asked for")
            if body["record"] == record:
                return Utterance(**{**body, "audio": np.frombuffer(body["audio"], dtype="<f4")})
        raise RecipeError("two streams cannot be read in turns", code="recipe.streams")

    def input(self, path: str) -> Loaded:
        """The model that was given to the run under ``path``."""
        data, media_type = self._given(path)
        if media_type != SAFETENSORS:
            raise RecipeError(f"input {path!r} is no model", code="recipe.input_media_type")
        from safetensors.torch import load

        header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
        return Loaded(load(data), header.get("__metadata__", {}))

    def file(self, path: str) -> bytes:
        """The exact bytes of the public file that was given under ``path``; nothing about them was checked."""
        data, media_type = self._given(path)
        if media_type != PUBLIC_FILES.get(path):
            raise RecipeError(f"input {path!r} is no public file", code="recipe.input_media_type")
        return data

    def _given(self, path: str) -> tuple[bytes, str]:
        if path not in self._job.inputs:
            raise RecipeError(f"the card names no input {path!r}", code="recipe.input_undeclared")
        self._channel.send("ask", path=path)
        pieces = []
        while True:
            body = self._expect("input").body
            pieces.append(body["data"])
            if body["last"]:
                return b"".join(pieces), str(body["media_type"])

    # Out

    def log(self, name: str, step: int, value: Any) -> None:
        """One point of a declared metric; points between the card's ``every`` are dropped here.

        Raises RecipeError when the card declares no such metric or the value is not finite.
        """
        metric = self._job.metrics.get(name)
        if metric is None:
            raise RecipeError(f"the card declares no metric {name!r}", code="recipe.metric_undeclared")
        if step % metric.every:
            return
        number = float(value)
        if not math.isfinite(number):
            raise RecipeError(
                f"metric {name!r} is not finite at step {step}", code="recipe.metric_not_finite"
            )
        self._channel.send("metric", name=name, step=step, value=number)

    def declares(self, metric: str) -> bool:
        """Whether the card declares this metric."""
        return metric in self._job.metrics

    def progress(self, step: int, total: int, first: int = 0) -> None:
        """How far the run is, which began after step ``first``. Sent at most once a second, and at the end."""
        now = time.monotonic()
        self._started = now if self._started is None else self._started
        elapsed = now - self._started
        if step < total and now - self._progress_at < max(PROGRESS_S, elapsed / PROGRESS_MANY):
            return
        self._progress_at = now
        rate = (step - first) / elapsed if elapsed > 0 else 0.0
        self._channel.send("progress", step=step, total=total, rate=rate)

    def due(self, step: int, media_type: str = SAFETENSORS) -> list[str]:
        """The artifacts of this kind that the grant schedules for ``step``, checkpoints left out."""
        return [
            a.path
            for a in self._job.artifacts.values()
            if a.media_type == media_type and step in a.steps and not is_checkpoint(a.path)
        ]

    def checkpoints(self, step: int, *, early: bool) -> list[str]:
        """Where a checkpoint goes: one that is scheduled for ``step``; at an early end else one without a schedule."""
        left = [
            a for a in self._job.artifacts.values() if is_checkpoint(a.path) and a.path not in self._saved
        ]
        due = [a.path for a in left if step in a.steps]
        return due or [a.path for a in left if early and not a.steps][:1]

    def may_save(self, path: str) -> bool:
        """Whether the grant lists this artifact (a dry run may speak; a run under an agreement may not)."""
        return path in self._job.artifacts

    def save(
        self, path: str, step: int, tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None
    ) -> None:
        """Tensors (torch or numpy) as safetensors, which the keeper seals; ``metadata`` rebuilds the model."""
        self._open(path, step, SAFETENSORS, metadata or {})
        for name, tensor in tensors.items():
            array = _array(tensor)
            body = {"dtype": array.dtype.name, "shape": list(array.shape), "data": array.tobytes()}
            self._channel.send("tensor", path=path, name=name, **body)
        self._channel.send("close", path=path)

    def save_audio(self, path: str, step: int, audio: Any, sample_rate: int) -> None:
        """Mono sound in [-1, 1], [T]; the keeper encodes it as 16-bit FLAC."""
        samples = np.clip(_array(audio).astype("<f4"), -1.0, 1.0)
        self._open(path, step, FLAC, {})
        self._channel.send("sound", path=path, sample_rate=sample_rate, audio=samples.tobytes())
        self._channel.send("close", path=path)

    def save_json(self, path: str, step: int, value: Any) -> None:
        """A report of numbers and words."""
        self._open(path, step, JSON, {})
        data = json.dumps(value, allow_nan=False, sort_keys=True, ensure_ascii=False).encode()
        self._channel.send("report", path=path, data=data)
        self._channel.send("close", path=path)

    def _open(self, path: str, step: int, media_type: str, metadata: Mapping[str, str]) -> None:
        artifact = self._job.artifacts.get(path)
        if artifact is None or artifact.media_type != media_type:
            raise RecipeError(
                f"the card declares no {media_type} {path!r}", code="recipe.artifact_undeclared"
            )
        if artifact.steps and step not in artifact.steps:
            raise RecipeError(f"{path!r} is not due at step {step}", code="recipe.artifact_not_due")
        self._saved.add(path)
        self._channel.send("artifact", path=path, step=step, media_type=media_type, metadata=dict(metadata))

    def _expect(self, kind: str) -> Frame:
        while True:
            frame = self._channel.receive()
            if frame.kind == kind:
                return frame
            self._note(frame)

    def _note(self, frame: Frame) -> None:
        if frame.kind == "stop":
            self._stopping = True
        elif frame.kind == "utterance" and len(self._early) < len(self._asked):
            self._early.append(frame)
        elif frame.kind != "ack":
            raise FrameError(f"{frame.kind}: nobody asked for it")


def _array(tensor: Any) -> npt.NDArray[Any]:
    """A torch tensor or anything numpy reads, as a contiguous little-endian array."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu().numpy()
    array = np.asarray(tensor, order="C")  # ascontiguousarray would make a number a row
    return array.astype(array.dtype.newbyteorder("<"), copy=False)
