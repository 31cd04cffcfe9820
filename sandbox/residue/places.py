"""Where an installation could leave something. What belongs to nobody's state (public speech, wheels) is left out.

Root sees all of it; somebody else sees what is theirs, and :class:`sandbox.residue.scan.Scan` says what was closed.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox.deployment.places import Places
from sandbox.residue.files import Opened, deleted, memory, regular

#: Databases, with what SQLite keeps beside them: a page that was freed is still in the file.
DATABASES = (".db", ".db-wal", ".db-shm", ".db-journal", ".sqlite", ".sqlite-wal", ".sqlite3")


@dataclass(frozen=True)
class Place:
    """A name, and how to open every byte source of it."""

    name: str
    sources: Callable[[], Iterator[Opened]]


def folder(name: str, *roots: Path, skip: Iterable[Path] = (), only: tuple[str, ...] = ()) -> Place:
    """All regular files below; with ``only``, those whose names end so."""
    left_out = tuple(skip)
    return Place(name, lambda: regular(roots, left_out, only))


def installation(
    state: Path, *, engine: str = "podman", skip: Iterable[Path] = (), machine: Path = Path("/")
) -> list[Place]:
    """Every place of the installation at ``state`` and of this machine (its root) where it could leave something.

    What goes soonest comes first: a container's scratch ends with it.
    """
    own = Places(state)
    left_out = (own.venv, own.public_set, *skip)
    pids = tuple(services(state))
    return [
        folder("container tmpfs", *(Path("/proc", str(pid), "root", "tmp") for pid in containers(engine))),
        Place("memory of services", lambda: memory(pids)),
        Place("deleted but open", lambda: deleted(processes())),
        folder("state", state, skip=left_out),
        folder("databases", state, skip=left_out, only=DATABASES),
        folder("Vault's storage", own.vault, own.audit),
        folder("MLflow's store", own.mlflow),
        folder("logs and journals", own.logs, machine / "var/log", machine / "run/log", skip=left_out),
        folder("temporary files", machine / "tmp", machine / "var/tmp", skip=(*left_out, state)),
        folder("shared memory", machine / "dev/shm"),
        Place("swap", lambda: regular(swaps(machine / "proc/swaps"), (), ())),
        folder("image layers", *storage(engine)),
    ]


def swaps(listing: Path) -> list[Path]:
    """Files and devices that memory may be swapped to."""
    try:
        return [Path(line.split()[0]) for line in listing.read_text().splitlines()[1:] if line.strip()]
    except OSError:
        return []


def storage(engine: str) -> list[Path]:
    """Where the engine keeps layers of images and of containers."""
    asked = "{{.Store.GraphRoot}}" if engine == "podman" else "{{.DockerRootDir}}"
    return [Path(root) for root in _ask(engine, "info", "--format", asked)]


def containers(engine: str) -> list[int]:
    """Pids of the live containers."""
    live = _ask(engine, "ps", "--quiet")
    pids = _ask(engine, "inspect", "--format", "{{.State.Pid}}", *live) if live else []
    return [int(pid) for pid in pids if pid != "0"]


def services(state: Path) -> Iterator[int]:
    """Processes that were started for this installation, by their arguments, and what they started."""
    for pid in processes():
        with suppress(OSError):
            if os.fsencode(state) in Path(f"/proc/{pid}/cmdline").read_bytes() and pid != os.getpid():
                yield pid


def processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _ask(engine: str, *words: str) -> list[str]:
    try:
        done = subprocess.run([engine, *words], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split() if done.returncode == 0 else []
