"""Storing what leaves: each frame's effect is on disk and committed before the frame is acknowledged.

Pieces of an artifact are written to ``incoming``; the last one makes the bytes whole: digest and sealed header are
checked, and they move to ``artifacts/<digest>``. A frame that comes a second time changes nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import FrameError, SealBroken
from sandbox.frames import Frame
from sandbox.gate.database.store import Store
from sandbox.gate.database.tables import artifacts, events, runs
from sandbox.gate.files import sync_folder
from sandbox.gate.places import Places
from sandbox.gate.runs import chronicle, leases
from sandbox.gate.runs.channel import Arriving, Channel
from sandbox.gate.runs.leases import Lease
from sandbox.runs import Grant, RunState
from sandbox.sealing.artifacts import MAX_HEADER_BYTES, ArtifactHeader, parse_header

TOLD = {"metric", "progress", "text"}


class Intake:
    """One run's storing side. One thread at a time."""

    def __init__(
        self, places: Places, store: Store, lease: Lease, channel: Channel, clock: Callable[[], datetime]
    ) -> None:
        self._places, self._store, self._lease, self._clock = places, store, lease, clock
        self.channel = channel
        self.stored = channel.stored  # the number up to which everything is committed

    def take(self, frames: Sequence[Frame]) -> int:
        """Judge and store; the number up to which everything is stored, to be acknowledged.

        Raises:
            FrameError: something that may not leave. Everything before it is stored.
            LeaseLost: another supervisor owns the run.
        """
        fresh: list[Frame] = []
        whole: list[tuple[Arriving, ArtifactHeader]] = []
        try:
            for frame in frames:
                if frame.kind == "piece" and any(kept.kind == "artifact" for kept in fresh):
                    # announced in the database before a byte of it is here: no crash leaves bytes that nobody knows
                    self._store_all(fresh, whole)
                if not self.channel.judge(frame):
                    continue
                if frame.kind == "piece":
                    try:
                        found = self._piece(frame)
                    except FrameError:
                        self.channel.stored = frame.n - 1  # refused, so neither stored nor acknowledged
                        raise
                    if found is not None:
                        whole.append(found)
                fresh.append(frame)
        finally:
            self._store_all(fresh, whole)
        return self.stored

    def _store_all(self, fresh: list[Frame], whole: list[tuple[Arriving, ArtifactHeader]]) -> None:
        """Commit what was judged so far, and begin anew."""
        if fresh:
            now = self._clock()
            self._store.transact(lambda connection: self._keep(connection, fresh, whole, now))
            self.stored = self.channel.stored
            fresh.clear()
            whole.clear()

    def _piece(self, frame: Frame) -> tuple[Arriving, ArtifactHeader] | None:
        """Write at its offset; when it was the last one, check the whole and move it to its digest."""
        arriving = self.channel.arriving[str(frame.body["path"])]
        part = self._part(arriving.path)
        part.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(handle, frame.body["data"], frame.body["offset"])
            if arriving.whole:
                os.ftruncate(handle, arriving.size)
                os.fsync(handle)
        finally:
            os.close(handle)
        if not arriving.whole:
            return None
        return arriving, self._move(part, arriving)

    def _move(self, part: Path, arriving: Arriving) -> ArtifactHeader:
        """From ``incoming`` to its digest. Where an earlier life had moved it and died, those bytes are the ones."""
        final = self._places.artifact(arriving.sha256)
        if final.exists():
            header = check_artifact(final, arriving, self.channel.grant)
            part.unlink(missing_ok=True)
            return header
        header = check_artifact(part, arriving, self.channel.grant)
        part.replace(final)
        sync_folder(final.parent)
        return header

    def _part(self, path: str) -> Path:
        return self._places.incoming(self._lease.run) / hashlib.sha256(path.encode()).hexdigest()

    def _keep(
        self,
        connection: Connection,
        fresh: Sequence[Frame],
        whole: Sequence[tuple[Arriving, ArtifactHeader]],
        now: datetime,
    ) -> None:
        run, channel = self._lease.run, self.channel
        leases.require(connection, self._lease)
        chronicle.told(connection, run, now, [(f.kind, f.body) for f in fresh if f.kind in TOLD])
        for frame in fresh:
            if frame.kind == "artifact":
                connection.execute(artifacts.insert().values(run=run, state="arriving", **frame.body))
        for path in {str(frame.body["path"]) for frame in fresh if frame.kind == "piece"}:
            row = sa.and_(artifacts.c.run == run, artifacts.c.path == path)
            connection.execute(artifacts.update().where(row).values(received=channel.arriving[path].received))
        for arriving, header in whole:
            row = sa.and_(artifacts.c.run == run, artifacts.c.path == arriving.path)
            connection.execute(
                artifacts.update().where(row).values(state="stored", wrapped_key=header.wrapped_key)
            )
            told = {"path": arriving.path, "step": arriving.step, "size": arriving.size}
            chronicle.happened(connection, run, "artifact", now, {**told, "sha256": arriving.sha256})
        values: dict[str, Any] = {"stored": channel.stored, "points": channel.points}
        values |= {"ended": channel.ended, "done": channel.done}
        for frame in fresh:
            if frame.kind == "unlocked":
                values["unlocked"] = dict(frame.body)
        if channel.failure:
            values["failure"] = channel.failure
        connection.execute(runs.update().where(runs.c.id == run).values(**values))


def check_artifact(part: Path, arriving: Arriving, grant: Grant) -> ArtifactHeader:
    """The header of the sealed bytes in ``part``. The gate opens nothing; it has no key.

    Raises:
        FrameError: another digest, no sealed artifact, or its header speaks of something else than was granted.
    """
    with open(part, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        first = file.read(MAX_HEADER_BYTES + 64)
    if digest != arriving.sha256:
        raise FrameError(
            f"artifact {arriving.path} has another digest than announced", code="artifact.digest"
        )
    try:
        parsed = parse_header(first)
    except SealBroken:
        parsed = None
    if parsed is None or parsed.header.sealed_bytes != arriving.size:
        raise FrameError(f"artifact {arriving.path} is not sealed", code="artifact.not_sealed")
    header = parsed.header
    said = (header.run, header.grant, header.agreement, header.path, header.step, header.media_type)
    due = (grant.run, grant.grant, grant.agreement, arriving.path, arriving.step, arriving.media_type)
    limit = next(artifact.max_bytes for artifact in grant.artifacts if artifact.path == arriving.path)
    if said != due or header.length > limit:
        raise FrameError(f"artifact {arriving.path} was sealed as something else", code="artifact.foreign")
    return header


def restore(connection: Connection, run: str) -> Channel:
    """The channel of a run as far as it was stored: where a restarted gate goes on."""
    row = chronicle.find(connection, run)
    channel = Channel(
        grant=chronicle.granted(row),
        stored=row.stored,
        points=row.points,
        unlocked=row.unlocked is not None,
        training=RunState(row.state) is RunState.TRAINING,
        ended=row.ended,
        done=row.done,
        failure=row.failure or "",
    )
    for told in connection.execute(sa.select(events.c.kind, events.c.data).where(events.c.run == run)):
        if told.kind == "metric":
            name, step = told.data["name"], told.data["step"]
            channel.last_step[name] = max(step, channel.last_step.get(name, step))
        elif told.kind == "progress":
            channel.progress += 1
        elif told.kind == "text":
            channel.lines += 1
    for item in connection.execute(sa.select(artifacts).where(artifacts.c.run == run)):
        channel.arriving[item.path] = Arriving(
            item.path, item.step, item.media_type, item.size, item.sha256, item.received
        )
    return channel
