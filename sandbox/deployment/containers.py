"""Containers of this installation as the operator sees them: found by label, removed when all goes down."""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import dataclass

from sandbox.deployment.files import read_json
from sandbox.deployment.places import Places
from sandbox.deployment.settings import Settings
from sandbox.errors import Usage
from sandbox.isolation.engines import Engine, engine, environment
from sandbox.records import check_id
from sandbox.statements import sha256

ENGINE_S = 60.0


@dataclass(frozen=True)
class Live:
    """A container and the run it belongs to."""

    run: str
    container: str


def label(places: Places) -> str:
    """What marks this installation's containers (the launcher sets it)."""
    return sha256(str(places.state.resolve()).encode())[:16]


def live(places: Places, settings: Settings) -> list[Live]:
    """Every container of this installation. Raises OSError or SubprocessError when the engine does not answer."""
    driver = _engine(places, settings)
    done = _ask(driver, driver.listing(label(places)))
    rows = (line.split() for line in done.stdout.splitlines())
    return [Live(row[0], row[1]) for row in rows if len(row) == 2]


def remove_all(places: Places, settings: Settings) -> int:
    """End and remove every container of this installation; how many there were. May run twice."""
    try:
        found = live(places, settings)
        driver = _engine(places, settings)
        for entry in found:
            _ask(driver, driver.remove(entry.container))
    except (OSError, subprocess.SubprocessError):
        return 0
    return len(found)


def forget_image(places: Places, settings: Settings) -> None:
    """Remove the runner image of this installation: its trust anchors are nobody else's. Its libraries stay."""
    driver = _engine(places, settings)
    with contextlib.suppress(OSError, subprocess.SubprocessError, Usage):
        _ask(driver, driver.forget(check_id("sha256", str(read_json(places.public).get("image_id")))))


def _engine(places: Places, settings: Settings) -> Engine:
    docker = places.app / "docker"
    return engine(settings.engine, docker / "seccomp.json", docker / "containers.conf")


def _ask(driver: Engine, command: list[str]) -> subprocess.CompletedProcess[str]:
    known = {name: os.environ[name] for name in ("HOME", "XDG_RUNTIME_DIR") if name in os.environ}
    environ = {**environment(driver), **known}
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=ENGINE_S, env=environ)
