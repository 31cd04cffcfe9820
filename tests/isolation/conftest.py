"""A small installation to start real containers in, and the image that this very checkout makes."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sandbox.deployment.image import Builder
from sandbox.deployment.install import Source, fetch
from sandbox.isolation.containers import Containers
from sandbox.isolation.engines import Engine, environment
from sandbox.isolation.podman import Podman
from sandbox.isolation.spec import Spec

ROOT = Path(__file__).resolve().parents[2]
TRUST = b'{"of": "tests/isolation"}'  # the keeper reads its anchors only after an order, and gets none here
PROFILE = (ROOT / "docker/seccomp.json", ROOT / "docker/containers.conf")
RUN_S = 300


@dataclass(frozen=True)
class Yard:
    """A state directory with the folders of one run in it; ``label`` is its own on this machine."""

    state: Path
    label: str
    image: str
    _made: list[Containers] = field(default_factory=list)

    def spec(self, **changes: Any) -> Spec:
        """The profile, with limits that a test reaches quickly."""
        plain: dict[str, Any] = {
            "run": "r-2345",
            "image_id": self.image,
            "doors": str(self.state / "doors"),
            "recipe": str(self.state / "recipe"),
            "data": str(self.state / "data"),
            "cpus": 1.0,
            "memory_bytes": 512 << 20,
            "tmpfs_bytes": 16 << 20,
        }
        return Spec(**{**plain, **changes})

    def containers(self, engine: Engine) -> Containers:
        self._made.append(Containers(engine, self.state, self.label))
        return self._made[-1]

    def close(self) -> None:
        """Wait for every engine's client and close its ends, as a launcher's exit would."""
        for containers in self._made:
            for running in containers._running.values():
                running.client.wait(RUN_S)
                for pipe in (running.client.stdin, running.client.stderr):
                    if pipe is not None:
                        pipe.close()

    def run_python(
        self, engine: Engine, *words: str, spec: Spec | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Python under the profile in place of the keeper; unlike the keeper's, its output is read."""
        *options, image = engine.run(spec or self.spec(), self.label)
        argv = [
            *options,
            "--attach=stdout",
            "--attach=stderr",
            "--entrypoint=/opt/venv/bin/python",
            image,
            *words,
        ]
        return subprocess.run(
            argv,
            env=environment(engine),
            cwd=self.state,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )


@pytest.fixture(scope="session")
def image() -> str:
    """The runner image of this checkout; seconds when only our own code changed."""
    source = Source.running(os.environ)
    return Builder("podman", ROOT, fetch(source, "runner"), print).runner(TRUST)


@pytest.fixture
def podman() -> Podman:
    return Podman(*PROFILE)


@pytest.fixture
def yard(tmp_path: Path, image: str, podman: Podman) -> Iterator[Yard]:
    """Writable by everybody, so that only the mount is in a writer's way. Nothing of it is left running."""
    yard = Yard(tmp_path, f"test-{secrets.token_hex(6)}", image)
    for name in ("doors", "recipe", "data"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    yield yard
    containers = yard.containers(podman)
    for found in containers.list():
        containers.kill(found["run"])
    yard.close()
