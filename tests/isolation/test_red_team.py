"""Attempts from inside a real container: all closed under the profile, and each seen open without its measure.

An attempt that nothing opens would show nothing; so for every one there is a measure here whose removal opens it.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from sandbox.isolation.engines import Engine
from sandbox.isolation.podman import Podman
from tests.isolation import attempts
from tests.isolation.attempts import ATTEMPTS, CONTROLS
from tests.isolation.conftest import PROFILE, Yard
from tests.isolation.weaker import Weaker

SCRATCH = "--tmpfs=/tmp:rw,nosuid,nodev,notmpcopyup,mode=1777,size="
UNFILTERED = ("--security-opt=seccomp",)
CALLS = (
    "internet socket", "internet 6 socket", "netlink socket", "tracing", "shared memory", "semaphores",
    "message queue", "keyring", "inotify", "lock", "record lock", "lease", "program in memory",
    "another user namespace", "process by descriptor",
)  # fmt: skip


@dataclass(frozen=True)
class Without:
    """A measure taken away, and the attempts that it alone had closed."""

    without: tuple[str, ...]
    more: tuple[str, ...]
    opens: tuple[str, ...]


WITHOUT = {
    "the engine's own filter": Without(UNFILTERED, (), CALLS),
    "no filter": Without(UNFILTERED, ("--security-opt=seccomp=unconfined",), (*CALLS, "user fault handler")),
    "no filter, locked memory": Without(
        (*UNFILTERED, "--ulimit=memlock"), ("--security-opt=seccomp=unconfined",), ("kernel rings",)
    ),
    "no filter, root, capabilities": Without(
        (*UNFILTERED, "--user", "--cap-drop"),
        ("--security-opt=seccomp=unconfined", "--user=0:0", "--cap-add=ALL"),
        ("packet socket", "mount", "another root"),
    ),
    "root": Without(("--user",), ("--user=0:0",), ("root",)),
    "the host's ids, root, capabilities": Without(
        ("--uidmap", "--gidmap", "--user", "--cap-drop", "--security-opt=seccomp", "--tmpfs"),
        ("--user=0:0", f"{SCRATCH}16m,noexec"),
        ("device node",),
    ),
    "the host's network": Without(("--network",), ("--network=host",), ("host's abstract socket",)),
    "the host's processes": Without((), ("--pid=host",), ("host's process",)),
    "a writable root": Without(("--read-only",), (), ("write beside the scratch",)),
    "paths of /proc": Without(("--security-opt=mask",), (), ("symbols of the host's kernel",)),
    "programs in the scratch": Without(
        ("--tmpfs",), (f"{SCRATCH}16m,exec",), ("program in the scratch", "code in the scratch")
    ),
    "a large scratch": Without(("--tmpfs",), (f"{SCRATCH}64m,noexec",), ("fill the scratch",)),
    "large shared memory": Without(("--shm-size",), ("--shm-size=64m",), ("write to shared memory",)),
    "any number of processes": Without(("--pids-limit",), ("--pids-limit=0",), ("many processes",)),
    "more open files": Without(
        ("--ulimit=nofile",), ("--ulimit=nofile=16384:16384",), ("many descriptors",)
    ),
    "core dumps": Without(("--ulimit=core",), (), ("core dumps",)),
    "writable mounts": Without(("--volume",), (), ("write to data", "replace the door")),
}  # fmt: skip


@dataclass(frozen=True)
class Arena:
    """A yard with a door that listens, a record to read, and a socket of the host's that is in no mount."""

    yard: Yard
    name: str

    def fight(self, engine: Engine) -> dict[str, str]:
        outside = json.dumps({"pid": os.getpid(), "name": self.name})
        done = self.yard.run_python(engine, "/recipe/attempts.py", outside)
        assert done.stdout, done.stderr[-1000:]
        return dict(json.loads(done.stdout))


@pytest.fixture
def arena(yard: Yard) -> Iterator[Arena]:
    shutil.copy(attempts.__file__, yard.state / "recipe" / "attempts.py")
    (yard.state / "data" / "record").write_text("ciphertext")
    arena = Arena(yard, secrets.token_hex(8))
    door = yard.state / "doors" / "events.sock"
    with socket.socket(socket.AF_UNIX) as events, socket.socket(socket.AF_UNIX) as host:
        events.bind(str(door))
        door.chmod(0o666)
        host.bind(f"\0{arena.name}")
        for server in (events, host):
            server.listen(8)
        yield arena


pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the numbers of the system calls are x86-64's"
)


@pytest.mark.needs_engine
def test_under_the_profile_every_attempt_is_closed_and_a_run_has_what_it_needs(
    arena: Arena, podman: Podman
) -> None:
    seen = arena.fight(podman)
    assert {name for name, said in seen.items() if said == "open"} == set(CONTROLS)
    assert set(seen) == {*CONTROLS, *ATTEMPTS}
    assert "Permission denied" in seen["memory of an undumpable process"]


@pytest.mark.needs_engine
@pytest.mark.parametrize("measure", WITHOUT.values(), ids=WITHOUT.keys())
def test_without_its_measure_an_attempt_is_seen_open(arena: Arena, measure: Without) -> None:
    more = measure.more
    if measure.without == ("--volume",):
        more = tuple(f"--volume={path}:{target}" for target, path in arena.yard.spec().mounts.items())
    seen = arena.fight(Weaker(*PROFILE, without=measure.without, more=more))
    assert {name: seen[name] for name in measure.opens} == dict.fromkeys(measure.opens, "open")


def test_every_attempt_has_a_measure_whose_removal_opens_it() -> None:
    """Undumpable memory is the exception: its witness is a control, the memory of a dumpable process."""
    witnessed = {name for measure in WITHOUT.values() for name in measure.opens}
    assert set(ATTEMPTS) - witnessed == {"memory of an undumpable process"}


@pytest.mark.needs_engine
@pytest.mark.parametrize(("memory_bytes", "code"), [(256 << 20, 137), (1 << 30, 0)])
def test_memory_over_the_limit_kills_the_run(
    yard: Yard, podman: Podman, memory_bytes: int, code: int
) -> None:
    done = yard.run_python(podman, "-Sc", "b'x' * (400 << 20)", spec=yard.spec(memory_bytes=memory_bytes))
    assert done.returncode == code
