"""The clock: what ends by itself takes effect by itself. A consent that runs out bars its subject a moment later.

Every moment at which something of a dataset begins or ends is known beforehand; the policies are rewritten when one
comes. It is looked for twice a minute at least, so a clock that was set, or a machine that slept, is noticed; and so is
an entry whose policies could not be written when it was made.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from sandbox.custodian.bar import kept_until, refresh_policies, terms_of
from sandbox.custodian.desk import Desk
from sandbox.custodian.retention import due
from sandbox.errors import SandboxError
from sandbox.policy.ends import next_edge, passed
from sandbox.policy.registers import Registers
from sandbox.service import journal

LOOK_S = 30.0
RETRY_S = 5.0
SWEEP = timedelta(days=1)
WATCHED = ("consent", "access", "status", "erasure")


class Clockwork:
    """Looks at the clock. ``look`` may be called at any time and as often as one likes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._seen: datetime | None = None
        self._swept: datetime | None = None
        self._heads: dict[str, Any] = {}

    def look(self) -> float:
        """Act on whatever came since the last look; how long nothing will come, in seconds.

        At the first look every dataset's policies are rewritten: something may have ended while nobody looked. Raises
        the SandboxError of a dataset that cannot be read, after all others had their turn.
        """
        now, seen, failed = self._desk.clock(), self._seen, list[SandboxError]()
        ahead = list[datetime | None]()
        heads = self._desk.vault.register_heads().value
        watched = {name: heads.get(name) for name in WATCHED}
        known = self._desk.now("consent", "access")
        for dataset in self._desk.datasets():
            try:
                moments = list(edges(self._desk, known, dataset))
                if seen is None or watched != self._heads or passed(moments, seen, now):
                    refresh_policies(self._desk, dataset)
                    journal.say("policies.turned", dataset=dataset)
                ahead.append(next_edge(moments, now))
            except SandboxError as fault:
                journal.trouble("policies.unturned", fault, dataset=dataset)
                failed.append(fault)
        if failed:
            raise failed[0]
        self._seen, self._heads = now, watched
        self._sweep(now)
        following = min((moment for moment in ahead if moment), default=None)
        return LOOK_S if following is None else min(LOOK_S, (following - now).total_seconds())

    def _sweep(self, now: datetime) -> None:
        """Once a day: name what may not be kept any more, until somebody has destroyed it."""
        if self._swept is not None and timedelta() <= now - self._swept < SWEEP:
            return
        for found in due(self._desk):
            journal.say(
                "retention.due", dataset=found.dataset, ended=found.ended, destroy_by=found.destroy_by
            )
        self._swept = now


def edges(desk: Desk, known: Registers, dataset: str) -> Iterator[datetime]:
    """Every moment at which somebody of ``dataset`` is barred or let in by the clock alone."""
    manifest = desk.manifest(dataset).manifest
    found = terms_of(desk, manifest)
    if found is None:
        return  # no policy stands, whatever the time
    terms, listed = found
    yield terms.effective.since
    yield kept_until(terms, listed, manifest).at
    for (of, _), consent in known.consents.items():
        if of == dataset:
            yield consent.given_at
            yield consent.expires
    for row in known.access.values():
        if row.minors and row.dataset == dataset:
            yield row.until


def keep_time(look: Callable[[], float], stop: threading.Event) -> None:
    """Until ``stop``. What failed is tried again, and nothing counts as seen before it was done."""
    while True:
        try:
            wait = look()
        except Exception as fault:  # noqa: BLE001 - whatever it was, the clock goes on
            journal.trouble("clock.failed", fault)
            wait = RETRY_S
        if stop.wait(wait):
            return
