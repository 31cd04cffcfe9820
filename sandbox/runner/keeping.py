"""The conversation with the trainer: what it asks for, what it may say, and how it ends."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from sandbox.errors import FrameError, RecipeError, SandboxError
from sandbox.frames import PIECE_BYTES, Frame
from sandbox.runner.door import Door
from sandbox.runner.feed import Feed, Source, Utterance
from sandbox.runner.outgoing import Outgoing
from sandbox.runner.pipe import Pipe
from sandbox.runner.unlock import PublicFile, SealedInput, Unlocked
from sandbox.runs import Grant, Kind

WATCH_S = 0.5


class Keeping:
    """One run's conversation. ``converse`` returns when the trainer has ended, or raises why it could not."""

    def __init__(self, grant: Grant, unlocked: Unlocked, door: Door, pipe: Pipe) -> None:
        self._grant, self._door, self._pipe = grant, door, pipe
        self._inputs: Mapping[str, SealedInput | PublicFile] = unlocked.inputs
        self._outgoing = Outgoing(grant, unlocked.artifacts, door.send)
        self._metrics = {metric.name: metric for metric in grant.metrics}
        self._last: dict[str, int] = {}
        self._fault: SandboxError | None = None
        self._over = threading.Event()
        self._source = unlocked.source
        self._ready = False
        self._answers: Mapping[str, Callable[..., None]] = {
            "ready": self._greet,
            "want": self._want,
            "ask": self._ask,
            "metric": self._metric,
            "progress": self._progress,
            "artifact": self._outgoing.begin,
            "tensor": self._outgoing.tensor,
            "sound": self._outgoing.sound,
            "report": self._outgoing.report,
            "close": self._close,
            "failed": self._failed,
            "text": self._text,
        }
        self._feed = Feed(unlocked.source, self._deliver, self._fail) if unlocked.source else None

    def begin(self) -> None:
        """Describe the job and let the recipe be imported. Call it only after the gate said ``go``.

        A trainer that is gone already may have said why: :meth:`converse` hears it.
        """
        with suppress(RecipeError):
            self._pipe.send("job", **job(self._grant, self._source))
            self._pipe.send("go")
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def converse(self) -> None:
        """Serve the trainer until its ``end``.

        Raises:
            RecipeError: the recipe failed, left early, or said what its grant does not allow.
            Unreachable: the gate stayed away too long.
        """
        try:
            for frame in self._pipe.hear():
                if frame.kind == "end":
                    return
                self._serve(frame)
        except FrameError as fault:
            raise RecipeError("the trainer broke the pipe's grammar", code="trainer.grammar") from fault
        finally:
            self._over.set()
            if self._feed is not None:
                self._feed.close()
        raise self._fault or RecipeError("the trainer left without a word", code="trainer.gone")

    def _serve(self, frame: Frame) -> None:
        answer = self._answers.get(frame.kind)
        if answer is None or self._ready is (frame.kind == "ready"):
            raise RecipeError("the trainer said something out of turn", code="trainer.grammar")
        answer(**frame.body)

    def _greet(self) -> None:
        """The trainer's first word, said before it imports anything; nothing else may come before it, or it again."""
        self._ready = True

    def _want(self, records: list[Any]) -> None:
        if self._feed is None:
            raise RecipeError("the recipe asked for records of a run without data", code="record.unknown")
        self._feed.want(records)

    def _close(self, path: str) -> None:
        self._outgoing.close(path)
        # A trainer may say "end" and leave before its last artifact is sealed: nobody waits for this word then.
        with suppress(RecipeError):
            self._pipe.send("ack")

    def _failed(self, code: str) -> None:
        raise RecipeError("the recipe failed", code=safe_code(code))

    def _text(self, line: str) -> None:
        if self._grant.kind is not Kind.DRY:
            raise RecipeError("text may leave a dry run only", code="text.undeclared")
        self._door.send("text", line=line)

    def _progress(self, step: int, total: int, rate: float) -> None:
        self._door.send("progress", step=step, total=total, rate=float(rate))

    def _metric(self, name: str, step: int, value: float) -> None:
        metric = self._metrics.get(name)
        if metric is None:
            raise RecipeError("the recipe logged a metric that it does not declare", code="metric.undeclared")
        last = self._last.get(name)
        if last is not None and step < last + metric.every:
            raise RecipeError("the recipe logged a metric more often than declared", code="metric.rate")
        self._last[name] = step
        bounded = min(max(value, metric.min), metric.max)
        self._door.send("metric", name=name, step=step, value=round(bounded, metric.decimals))

    def _ask(self, path: str) -> None:
        item = self._inputs.get(path)
        if item is None:
            raise RecipeError("the recipe asked for an input that is not in its grant", code="input.unknown")
        plain = item.plain()
        count = max(1, math.ceil(len(plain) / PIECE_BYTES))
        for n in range(count):
            piece = plain[n * PIECE_BYTES : (n + 1) * PIECE_BYTES]
            self._pipe.send("input", path=path, media_type=item.media_type, data=piece, last=n == count - 1)

    def _deliver(self, utterance: Utterance) -> None:
        self._pipe.send("utterance", **asdict(utterance))

    def _fail(self, fault: SandboxError) -> None:
        self._fault = self._fault or fault
        self._pipe.hang_up()

    def _watch(self) -> None:
        """Pass a stop on, and end the run when the gate is lost."""
        told = False
        while not self._over.wait(WATCH_S):
            if self._door.lost:
                self._fail(RecipeError("the gate stayed away too long", code="gate.lost"))
                return
            if self._door.stop_reason is not None and not told:
                told = True
                try:
                    self._pipe.send("stop", reason=self._door.stop_reason)
                except RecipeError:
                    return


def job(grant: Grant, source: Source | None) -> dict[str, Any]:
    """What the trainer may know of its grant: nothing that opens anything."""
    value = grant.to_predicate()
    return {
        "purpose": grant.purpose,
        "kind": grant.kind.value,
        "parameters": dict(grant.parameters),
        "privacy": value["privacy"],
        "metrics": [dict(item) for item in value["metrics"]],
        "artifacts": [dict(item) for item in value["artifacts"]],
        "inputs": [item.path for item in grant.inputs],
        "records": source.listing() if source is not None else [],
    }


def safe_code(code: str) -> str:
    """A failure's code as it may leave: ``noun.fault`` of plain letters, short."""
    kept = "".join(c for c in code[:64] if c.isascii() and (c.isalnum() or c in "._:-"))
    return kept or "recipe.failed"
