"""An engine starts the same spec as any other; its command line is a pure function, tested without an engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from sandbox.errors import Usage
from sandbox.isolation.docker import Docker
from sandbox.isolation.podman import Podman
from sandbox.isolation.spec import Spec


class Engine(Protocol):
    """Builds command lines; runs nothing."""

    @property
    def name(self) -> str: ...

    def run(self, spec: Spec, state: str) -> list[str]:
        """Starts the container in the foreground with its stdin attached; ``state`` labels the installation."""
        ...

    def inspect(self, run: str) -> list[str]:
        """Prints ``ID PID`` of a run's container."""
        ...

    def listing(self, state: str) -> list[str]:
        """Prints ``RUN ID`` a line, for every container of this installation, dead or alive."""
        ...

    def kill(self, container: str) -> list[str]: ...

    def remove(self, container: str) -> list[str]: ...

    def forget(self, image_id: str) -> list[str]:
        """Removes an image; layers that other images stand on stay."""
        ...


def engine(name: str, seccomp: Path, containers_conf: Path) -> Engine:
    """The engine of that name. Raises Usage for an unknown one."""
    if name == "podman":
        return Podman(seccomp, containers_conf)
    if name == "docker":
        return Docker(seccomp)
    raise Usage(f"no engine {name!r}", mend="engine: podman or docker")


def environment(found: Engine) -> dict[str, str]:
    """What the engine's client needs, and nothing of ours."""
    base = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
    }
    return {**base, **getattr(found, "environment", {})}


__all__: Sequence[str] = ["Engine", "engine", "environment"]
