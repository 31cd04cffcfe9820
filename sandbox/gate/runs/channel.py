"""What may leave a container: a pure judge over the frames at the events door (CONTRACTS, "Frames").

Only declared metrics, within bounds, quantised, no denser than declared and counted against a budget; only declared
artifacts, at their steps, of their kind, within their size, whole and in order. Anything else is a FrameError: the
door closes, the container dies, an incident opens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.errors import FrameError
from sandbox.frames import PIECE_BYTES, Frame
from sandbox.records import TAG_BYTES
from sandbox.runs import Artifact, Grant, Kind, Metric
from sandbox.sealing.artifacts import CHUNK_BYTES, MAX_HEADER_BYTES

PROGRESS_MAX = 200_000
TEXT_LINES_MAX = 20_000


@dataclass
class Arriving:
    """A sealed artifact on its way: announced, and ``received`` bytes of it stored."""

    path: str
    step: int
    media_type: str
    size: int
    sha256: str
    received: int = 0

    @property
    def whole(self) -> bool:
        return self.received == self.size


@dataclass
class Channel:
    """Where one run's channel stands. ``stored`` is the number of the last frame that was stored."""

    grant: Grant
    stored: int = 0
    points: int = 0
    progress: int = 0
    lines: int = 0
    unlocked: bool = False
    training: bool = False
    ended: bool = False
    done: bool = False
    failure: str = ""
    last_step: dict[str, int] = field(default_factory=dict)
    arriving: dict[str, Arriving] = field(default_factory=dict)

    def hello(self, frame: Frame, grant_digest: str) -> None:
        """The first frame of every connection. Raises FrameError unless it speaks of this run and grant."""
        body = frame.body
        if frame.kind != "hello" or (body["run"], body["grant"]) != (self.grant.run, grant_digest):
            raise FrameError("the first message is no hello of this run", code="door.hello")
        if body["seen"] > self.stored:
            raise FrameError("the keeper saw an acknowledgement that was never given", code="door.hello")

    def judge(self, frame: Frame) -> bool:
        """Whether the frame is new (False: stored before, sent again). Takes it into account.

        Raises:
            FrameError: out of order, out of turn, or not allowed by the grant.
        """
        if frame.kind == "hello":
            raise FrameError("a second hello", code="door.order")
        if frame.n <= self.stored:
            return False
        if frame.n != self.stored + 1 or self.done:
            raise FrameError(f"frame {frame.n} after {self.stored}", code="door.order")
        if frame.kind == "unlocked" and (self.unlocked or self.failure):
            raise FrameError("unlocked out of turn", code="door.order")
        if frame.kind not in ("unlocked", "failed", "done") and (not self.training or self._over):
            raise FrameError(f"{frame.kind} out of turn", code="door.order")
        check = getattr(self, f"_{frame.kind}")
        check(frame.body)
        self.stored = frame.n
        return True

    @property
    def _over(self) -> bool:
        return self.ended or bool(self.failure)

    def _unlocked(self, body: Mapping[str, Any]) -> None:
        if body["subjects"] != len(self.grant.subjects):
            raise FrameError("not every subject of the grant was unlocked", code="door.unlocked")
        self.unlocked = True

    def _metric(self, body: Mapping[str, Any]) -> None:
        metric = self._declared(str(body["name"]))
        value, step = float(body["value"]), int(body["step"])
        if not metric.min <= value <= metric.max or round(value, metric.decimals) != value:
            raise FrameError(
                f"metric {metric.name}: out of bounds or finer than declared", code="metric.bounds"
            )
        if step < self.last_step.get(metric.name, -metric.every) + metric.every:
            raise FrameError(f"metric {metric.name}: more often than declared", code="metric.rate")
        self.points += 1
        if self.points > int(self.grant.channels.get("metric_points", 0)):
            raise FrameError("more metric points than granted", code="metric.budget")
        self.last_step[metric.name] = step

    def _declared(self, name: str) -> Metric:
        for metric in self.grant.metrics:
            if metric.name == name:
                return metric
        raise FrameError("a metric that the recipe does not declare", code="metric.undeclared")

    def _progress(self, _: Mapping[str, Any]) -> None:
        self.progress += 1
        if self.progress > PROGRESS_MAX:
            raise FrameError("progress without end", code="door.budget")

    def _artifact(self, body: Mapping[str, Any]) -> None:
        path, size = str(body["path"]), int(body["size"])
        allowed = next((artifact for artifact in self.grant.artifacts if artifact.path == path), None)
        if self.grant.kind is Kind.DRY or allowed is None or body["media_type"] != allowed.media_type:
            raise FrameError("an artifact that is not in the grant", code="artifact.undeclared")
        if path in self.arriving:
            raise FrameError(f"artifact {path} a second time", code="artifact.twice")
        step = int(body["step"])
        if allowed.steps and step not in allowed.steps:
            raise FrameError(f"artifact {path} outside its schedule", code="artifact.schedule")
        if not 0 < size <= sealed_limit(allowed):
            raise FrameError(f"artifact {path} is larger than granted", code="artifact.size")
        self.arriving[path] = Arriving(path, step, allowed.media_type, size, str(body["sha256"]))

    def _piece(self, body: Mapping[str, Any]) -> None:
        found = self.arriving.get(str(body["path"]))
        data = bytes(body["data"])
        if found is None or body["offset"] != found.received or not 0 < len(data) <= PIECE_BYTES:
            raise FrameError("a piece that does not follow", code="artifact.piece")
        if found.received + len(data) > found.size:
            raise FrameError(f"artifact {found.path} is longer than announced", code="artifact.size")
        found.received += len(data)

    def _end(self, _: Mapping[str, Any]) -> None:
        if not all(found.whole for found in self.arriving.values()):
            raise FrameError("the end came before an artifact was whole", code="artifact.torn")
        self.ended = True

    def _failed(self, body: Mapping[str, Any]) -> None:
        self.failure = str(body["code"])[:64] or "run.failed"

    def _done(self, _: Mapping[str, Any]) -> None:
        if not self._over:
            raise FrameError("done without end or failure", code="door.order")
        self.done = True

    def _text(self, _: Mapping[str, Any]) -> None:
        self.lines += 1
        if self.grant.kind is not Kind.DRY or self.lines > TEXT_LINES_MAX:
            raise FrameError("text may leave a dry run only", code="text.undeclared")


def sealed_limit(artifact: Artifact) -> int:
    """The most bytes that ``artifact`` may have once sealed: plain bytes, header, a tag for each chunk."""
    chunks = max(1, -(-artifact.max_bytes // CHUNK_BYTES))
    return artifact.max_bytes + MAX_HEADER_BYTES + chunks * TAG_BYTES
