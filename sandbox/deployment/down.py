"""`sandbox down`: everything stops in order; ``purge`` then removes the state, keys and all."""

from __future__ import annotations

import contextlib
import os
import shutil

from sandbox.deployment import daemon
from sandbox.deployment.containers import forget_image, remove_all
from sandbox.deployment.locks import holder, only_one
from sandbox.deployment.places import Places
from sandbox.deployment.settings import Settings
from sandbox.errors import NotPermitted, Usage


def down(places: Places, *, purge: bool = False) -> bool:
    """Take it down, and end every container it started; returns whether anything ran. May run twice.

    Raises Usage when there is nothing at this state, Conflict while an ``up`` is at work.
    """
    if not places.run.is_dir():
        raise Usage(f"no sandbox is set up at {places.state}", code="state.none", mend="name another --state")
    if places.run.stat().st_uid != os.getuid():
        raise NotPermitted(f"{places.state} belongs to another Unix user", mend="ask the operator")
    if holder(places.up_lock):
        with only_one(places.up_lock, "a `sandbox up`"):
            pass
    ran = daemon.stop(places)
    remove_all(places, Settings.read(places))
    if purge:
        forget_image(places, Settings.read(places))
        _purge(places)
    return ran


def _purge(places: Places) -> None:
    """Remove the state. What lies there and is not ours is left, and with it the directory itself."""
    for name in ("doors", "gate", "custodian", "mlflow", "audit", "vault", "app", "run"):
        shutil.rmtree(places.state / name, ignore_errors=True)
    places.first_login.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        places.state.rmdir()
