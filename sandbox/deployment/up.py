"""`sandbox up`: from nothing, or from whatever the last attempt left, to everything healthy.

Steps: 1 requirements  2 places and users  3 install  4 the supervisor, which brings up the rest. Every step may run
twice. Interrupted, it takes down what it started; the next `up` goes on from there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sandbox.deployment import daemon, layout, public_set, storage_keys, users
from sandbox.deployment.backup.restoring import unfinished
from sandbox.deployment.install import Source, differs, fetch, install
from sandbox.deployment.locks import holder, only_one
from sandbox.deployment.places import Places
from sandbox.deployment.requirements import require
from sandbox.deployment.settings import Settings, chosen, require_free
from sandbox.errors import NotPermitted
from sandbox.storage.credential import read_keys


@dataclass(frozen=True)
class Asked:
    """What the operator gave on the command line; None keeps what was chosen before (0: any free port)."""

    vault_port: int | None = None
    web_port: int | None = None
    engine: str | None = None
    tracking_uri: str | None = None
    public_speech: Path | None = None
    storage_keys: Path | None = None


def up(
    places: Places, source: Source, asked: Asked, say: Callable[[str], None], seen: Seen
) -> dict[str, Any]:
    """Bring the installation up; returns the supervisor's board. ``say`` gets plain lines, ``seen`` every new board.

    Raises Conflict when another ``up`` is at work here, Unreachable and Usage for what the operator can mend.
    """
    keys = read_keys(asked.storage_keys) if asked.storage_keys else None
    _prepare(places)
    unfinished(places)
    with only_one(places.up_lock, "another `sandbox up`"), _resumable(places):
        settings = _settings(places, source, asked)
        running = holder(places.supervisor_lock) != 0
        brought = asked.public_speech or keys
        if running and (differs(places, source) or settings != Settings.read(places) or brought):
            say("something changed since it was started: taking it down first")
            daemon.stop(places)
            running = False
        if not running:
            require(settings)
            accounts = users.ensure()
            layout.make(layout.rooms(places, accounts))
            if keys:
                storage_keys.hand_over(places, accounts, keys)
            storage_keys.require(places, source.root)
            require_free(settings)
            if not accounts.separate:
                say(f"note: {users.ALONE}")
            settings.write(places)
            install(places, source, say)
            if source.root != places.app:
                fetch(source, "runner")
            public_set.bring(places, asked.public_speech) if asked.public_speech else public_set.publish(
                places
            )
            daemon.start(places)
        return daemon.watch(places, seen)


Seen = Callable[[dict[str, Any]], None]


def _prepare(places: Places) -> None:
    """The state directory and its ``run/``, where the locks lie; the rest of the layout waits for the lock."""
    try:
        places.run.mkdir(mode=0o755, parents=True, exist_ok=True)
        owner = places.run.stat().st_uid
    except PermissionError:
        raise NotPermitted(
            f"{places.state} is not yours to set up", mend="run it as root, or name a --state of your own"
        ) from None
    if owner != os.getuid():
        raise NotPermitted(f"{places.state} belongs to another Unix user", mend="name a --state of your own")


def _settings(places: Places, source: Source, asked: Asked) -> Settings:
    kept = chosen(Settings.read(places), vault_port=asked.vault_port, web_port=asked.web_port)
    kept = replace(kept, wheels=str(source.wheels))
    if asked.engine is not None:
        kept = replace(kept, engine=asked.engine)
    if asked.tracking_uri is not None:
        kept = replace(kept, tracking_uri=asked.tracking_uri)
    return kept


@contextlib.contextmanager
def _resumable(places: Places) -> Iterator[None]:
    """Interrupted: what was started is taken down in order, so that no half state stays behind."""
    before = holder(places.supervisor_lock)
    try:
        yield
    except KeyboardInterrupt:
        if not before:
            daemon.stop(places)
        raise
