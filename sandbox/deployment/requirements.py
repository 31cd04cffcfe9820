"""What the machine must have: programs and engine. ``up`` stops at the first that is missing, ``doctor`` lists all."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from sandbox.deployment.install import SYSTEM_PYTHON
from sandbox.deployment.settings import Settings
from sandbox.errors import EngineError, SandboxError


@dataclass(frozen=True)
class Requirement:
    """A program, what it is for, and the Debian package that brings it."""

    program: str
    purpose: str
    package: str
    engine: bool = False


def requirements(engine: str) -> list[Requirement]:
    """All that ``engine`` and the services need from the machine."""
    needed = {
        "podman": [
            Requirement("podman", "the container engine", "podman", engine=True),
            Requirement("runc", "the container runtime", "runc", engine=True),
            Requirement("conmon", "the container monitor", "conmon", engine=True),
        ],
        "docker": [Requirement("docker", "the container engine", "docker.io", engine=True)],
    }.get(engine, [])
    return [Requirement(str(SYSTEM_PYTHON), "the services' Python", "python3 python3-venv"), *needed]


def missing(engine: str) -> list[Requirement]:
    return [need for need in requirements(engine) if not shutil.which(need.program)]


def require(settings: Settings) -> None:
    """Raises EngineError or SandboxError, naming the Debian package to install."""
    for need in missing(settings.engine):
        kind = EngineError if need.engine else SandboxError
        raise kind(
            f"{need.purpose} is missing: no {need.program} on this machine",
            code="engine.missing" if need.engine else "machine.incomplete",
            mend=f"apt-get install {need.package}",
        )
