"""Next versions that add nothing: keys rotated, shards compacted, old objects removed. No voice is opened."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from sandbox.custodian.desk import Desk
from sandbox.custodian.people import STEWARD, require
from sandbox.custodian.seal import settle
from sandbox.errors import SandboxError
from sandbox.records import Manifest, check_id
from sandbox.runs import utc
from sandbox.sealing.compactor import Compacted, compact
from sandbox.sealing.progress import Step
from sandbox.sealing.rewrap import rewrap
from sandbox.sealing.sweeper import sweep
from sandbox.sealing.version import Terms

_PROGRESS_S = 0.5
Line = Mapping[str, Any]
Made = TypeVar("Made")


def rewrap_dataset(desk: Desk, caller: str, dataset: str, subject: str | None = None) -> Iterator[Line]:
    """Rotate the keys of ``dataset``, or of one ``subject`` in it; lines of progress, then ``rewrapped``.

    Raises:
        NotFound: no such dataset.
    """
    require(desk, caller, STEWARD)
    if subject is not None:
        check_id("subject", subject)
    desk.manifest(dataset)
    return _rewrap(desk, caller, dataset, subject)


def compact_dataset(
    desk: Desk, caller: str, dataset: str, above: float, remove_after: timedelta
) -> Iterator[Line]:
    """Rewrite shards with more than ``above`` % dead bytes, then remove what was replaced ``remove_after`` ago.

    Lines of progress, then ``compacted``. Raises NotFound: no such dataset.
    """
    require(desk, caller, STEWARD)
    desk.manifest(dataset)
    return _compact(desk, caller, dataset, above, remove_after)


def renewed(desk: Desk, before: Manifest) -> Terms:
    """The terms of the version before, at this moment."""
    return Terms.kept(before, desk.registers.digest("consent"), utc(desk.clock()))


def _rewrap(desk: Desk, caller: str, dataset: str, subject: str | None) -> Iterator[Line]:
    folder, hands = desk.folder(dataset), desk.hands(dataset)
    try:
        done = yield from _told(rewrap(folder, dataset, lambda before: renewed(desk, before), hands, subject))
    except SandboxError:
        settle(desk, dataset, caller)  # the head may have moved, and old wraps be left to retire
        raise
    settle(desk, dataset, caller)
    yield {
        "event": "rewrapped",
        "dataset": dataset,
        "version": done.manifest.version,
        "manifest": done.digest,
        "subjects": len(done.subjects),
        "wraps": done.wraps,
    }


def _compact(desk: Desk, caller: str, dataset: str, above: float, remove_after: timedelta) -> Iterator[Line]:
    folder, hands = desk.folder(dataset), desk.hands(dataset)
    steps = compact(folder, dataset, lambda before: renewed(desk, before), hands, above)
    done: Compacted | None = yield from _told(steps)
    if done is not None:
        settle(desk, dataset, caller)
    swept = sweep(folder, dataset, hands, desk.clock(), remove_after)
    now = desk.manifest(dataset)
    yield {
        "event": "compacted",
        "dataset": dataset,
        "version": now.manifest.version,
        "manifest": now.digest,
        "shards_before": done.shards_before if done else 0,
        "shards_after": done.shards_after if done else 0,
        "dead_bytes": done.bytes_before - done.bytes_after if done else 0,
        "removed_objects": swept.objects,
        "freed_bytes": swept.bytes,
        "waiting_bytes": swept.waiting_bytes,
        "waiting_until": utc(swept.waiting_until) if swept.waiting_until else None,
    }


def _told(steps: Generator[Step, None, Made]) -> Generator[Line, None, Made]:
    """Steps as lines, not more often than a person reads; what the work made."""
    told = 0.0
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            made: Made = end.value
            return made
        if time.monotonic() - told > _PROGRESS_S:
            told = time.monotonic()
            yield {"event": "progress", "done": step.done, "of": step.of}
