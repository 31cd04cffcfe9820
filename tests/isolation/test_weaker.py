"""Take one measure away, and the kernel shows it: the comparison names what is missing."""

from __future__ import annotations

import pytest

from sandbox.errors import EngineError
from sandbox.isolation.readback import compare
from tests.isolation.conftest import PROFILE, Yard
from tests.isolation.weaker import Weaker

pytestmark = pytest.mark.needs_engine

SCRATCH = "--tmpfs=/tmp:rw,nosuid,notmpcopyup,mode=1777,size="
#: (options taken away, options given instead, property that tells)
WEAKER = {
    "the host's network": (("--network",), ("--network=host",), "network interfaces"),
    "the host's processes": ((), ("--pid=host",), "own namespaces"),
    "the host's name": (("--hostname",), ("--uts=host",), "own namespaces"),
    "the host's control groups": (("--cgroupns",), ("--cgroupns=host",), "own namespaces"),
    "the host's user ids": (("--uidmap", "--gidmap"), (), "uid"),
    "one group more": ((), ("--group-add=27",), "groups"),
    "root": (("--user",), ("--user=0:0",), "uid"),
    "the engine's own capabilities": (("--cap-drop",), (), "capabilities bounding"),
    "one capability": ((), ("--cap-add=NET_RAW",), "capabilities effective"),
    "no seccomp filter": (("--security-opt=seccomp",), ("--security-opt=seccomp=unconfined",), "seccomp"),
    "a writable root": (("--read-only",), (), "root file system"),
    "more scratch places": (("--read-only-tmpfs",), (), "writable mounts"),
    "programs in the scratch": (("--tmpfs",), (f"{SCRATCH}16m,nodev,exec",), "scratch"),
    "devices in the scratch": (("--tmpfs",), (f"{SCRATCH}16m,noexec,dev",), "scratch"),
    "a large scratch": (("--tmpfs",), (f"{SCRATCH}1g,nodev,noexec",), "scratch"),
    "no scratch": (("--tmpfs",), (), "scratch"),
    "large shared memory": (("--shm-size",), ("--shm-size=64m",), "shared memory bytes"),
    "one device more": ((), ("--device=/dev/fuse",), "devices"),
    "one mount more": ((), ("--volume=/usr/share:/srv:ro",), "mounts"),
    "a variable more": ((), ("--env=VAULT_TOKEN=x",), "environment"),
    "no memory limit": (("--memory",), (), "memory bytes"),
    "swap": (("--memory-swap",), (), "memory and swap bytes"),
    "any number of processes": (("--pids-limit",), ("--pids-limit=0",), "processes"),
    "the engine's own number of processes": (("--pids-limit",), (), "processes"),
    "every processor": (("--cpus",), (), "processors"),
    "core dumps": (("--ulimit=core",), (), "core dump bytes"),
    "more open files": (("--ulimit=nofile",), ("--ulimit=nofile=16384:16384",), "open files"),
    "more processes a user": (("--ulimit=nproc",), ("--ulimit=nproc=8192:8192",), "processes of the user"),
    "locked memory": (("--ulimit=memlock",), (), "locked memory bytes"),
    "every privilege": ((), ("--privileged",), "capabilities bounding"),
}


@pytest.mark.parametrize(("without", "more", "tells"), WEAKER.values(), ids=WEAKER.keys())
def test_a_measure_taken_away_is_named(
    yard: Yard, without: tuple[str, ...], more: tuple[str, ...], tells: str
) -> None:
    spec = yard.spec()
    containers = yard.containers(Weaker(*PROFILE, without=without, more=more))
    containers.start(spec)
    assert tells in {found.name for found in compare(spec, containers.readback(spec.run))}


def test_a_writable_mount_is_named(yard: Yard) -> None:
    spec = yard.spec()
    more = tuple(f"--volume={source}:{target}:rw" for target, source in spec.mounts.items())
    containers = yard.containers(Weaker(*PROFILE, without=("--volume",), more=more))
    containers.start(spec)
    assert "mounts" in {found.name for found in compare(spec, containers.readback(spec.run))}


def test_privileges_that_could_be_gained_are_named_or_not_started(yard: Yard) -> None:
    """Without no-new-privileges a runtime may fail to set the filter; if it does not, the kernel shows it."""
    spec = yard.spec()
    containers = yard.containers(Weaker(*PROFILE, without=("--security-opt=no-new-privileges",)))
    try:
        containers.start(spec)
    except EngineError:
        return
    assert "no new privileges" in {found.name for found in compare(spec, containers.readback(spec.run))}
