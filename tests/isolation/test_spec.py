"""The profile as data: nobody can ask for more, and both engines are asked for the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.errors import Usage
from sandbox.isolation.docker import Docker
from sandbox.isolation.podman import Podman
from sandbox.isolation.spec import Spec

SPEC = Spec("r-2345", "0" * 64, "/var/lib/vs/doors/r-2345", "/var/lib/vs/recipe", data="/var/lib/vs/data")
PODMAN = Podman(Path("/s.json"), Path("/c.conf"))
DOCKER = Docker(Path("/s.json"))

MEASURES = [
    "--network=none", "--ipc=private", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges",
    "--security-opt=seccomp=/s.json", "--user=65532:65532", "--pids-limit=256", "--ulimit=core=0:0",
    "--ulimit=memlock=0:0",
    "--cgroupns=private", "--pull=never", "--log-driver=none", "--attach=stdin", "--no-healthcheck",
]  # fmt: skip


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("engine", [PODMAN, DOCKER], ids=["podman", "docker"])
def test_every_measure_is_asked_of_every_engine(engine: Podman | Docker, measure: str) -> None:
    assert measure in engine.run(SPEC, "state")


@pytest.mark.parametrize("engine", [PODMAN, DOCKER], ids=["podman", "docker"])
def test_every_mount_is_read_only_and_the_image_stands_last(engine: Podman | Docker) -> None:
    argv = engine.run(SPEC, "state")
    mounts = [word for word in argv if word.startswith(("--volume=", "--mount="))]
    assert len(mounts) == 3
    assert all(":ro," in word or word.endswith(",readonly") for word in mounts)
    assert argv[-1].endswith("0" * 64)


def test_the_digest_covers_every_field() -> None:
    changed = [
        replace(SPEC, cpus=1.0),
        replace(SPEC, data=None),
        replace(SPEC, pids=255),
        replace(SPEC, run="r-2346"),
    ]
    assert len({spec.digest() for spec in [SPEC, *changed]}) == 5
    assert Spec.from_json(SPEC.to_json()) == SPEC


@pytest.mark.parametrize(
    "change",
    [
        {"doors": "relative"}, {"doors": "/a/../etc"}, {"recipe": "/a,src=/etc"}, {"data": "/a:rw"},
        {"image_id": "latest"},
        {"run": "--privileged"}, {"memory_bytes": 0}, {"cpus": -1.0}, {"pids": 0}, {"engine": "chroot"},
    ],
)  # fmt: skip
def test_what_no_engine_should_be_asked_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(Usage):
        replace(SPEC, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [{}, {**SPEC.to_json(), "argv": ["sh"]}, {**SPEC.to_json(), "doors": 3}])
def test_a_spec_of_another_shape_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(Usage):
        Spec.from_json(value)
