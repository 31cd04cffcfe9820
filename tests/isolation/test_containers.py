"""Real containers: as asked, ordered once, found again, gone when killed."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from sandbox.errors import EngineError, Usage
from sandbox.isolation.podman import Podman
from sandbox.isolation.readback import compare
from sandbox.isolation.spec import COMMAND
from sandbox.runs import ExitClass
from tests.isolation.conftest import Yard

pytestmark = pytest.mark.needs_engine


def test_the_kernel_shows_what_the_spec_asks(yard: Yard, podman: Podman) -> None:
    containers, spec = yard.containers(podman), yard.spec()
    started = containers.start(spec)
    assert compare(spec, containers.readback(spec.run)) == []
    assert Path(f"/proc/{started['pid']}/cmdline").read_bytes().split(b"\0")[:3] == [
        w.encode() for w in COMMAND
    ]


def test_the_spec_of_another_run_is_not_what_is_seen(yard: Yard, podman: Podman) -> None:
    containers, spec = yard.containers(podman), yard.spec()
    containers.start(spec)
    other = yard.spec(data=None, memory_bytes=256 << 20)
    named = {found.name for found in compare(other, containers.readback(spec.run))}
    assert named == {"mounts", "memory bytes", "memory and swap bytes"}


def test_an_order_is_taken_once_and_a_false_one_ends_the_run(yard: Yard, podman: Podman) -> None:
    containers, spec = yard.containers(podman), yard.spec()
    containers.start(spec)
    containers.stdin(spec.run, b"no order")
    assert containers.wait(spec.run) is ExitClass.NONZERO
    with pytest.raises(Usage, match="its order before"):
        containers.stdin(spec.run, b"no order")
    assert containers.list() == []


def test_killing_ends_every_process_and_may_repeat(yard: Yard, podman: Podman) -> None:
    containers, spec = yard.containers(podman), yard.spec()
    started = containers.start(spec)
    containers.kill(spec.run)
    assert not Path(f"/proc/{started['pid']}").exists()
    assert containers.list() == []
    assert containers.wait(spec.run) is ExitClass.KILLED
    containers.kill(spec.run)


def test_waiting_ends_when_another_thread_kills(yard: Yard, podman: Podman) -> None:
    containers, spec = yard.containers(podman), yard.spec()
    containers.start(spec)
    seen: list[ExitClass] = []
    waiter = threading.Thread(target=lambda: seen.append(containers.wait(spec.run)))
    waiter.start()
    containers.kill(spec.run)
    waiter.join(60)
    assert seen == [ExitClass.KILLED]


def test_a_restarted_launcher_finds_and_kills_what_it_did_not_start(yard: Yard, podman: Podman) -> None:
    before, spec = yard.containers(podman), yard.spec()
    started = before.start(spec)
    after = yard.containers(podman)
    assert after.list() == [{"run": spec.run, "container_id": started["container_id"], "pid": started["pid"]}]
    with pytest.raises(EngineError, match="no such container"):
        after.readback(spec.run)
    after.kill(spec.run)
    assert after.list() == []
    assert after.wait(spec.run) is ExitClass.GONE


def test_another_installation_neither_sees_nor_kills_it(yard: Yard, podman: Podman) -> None:
    mine, spec = yard.containers(podman), yard.spec()
    started = mine.start(spec)
    theirs = Yard(yard.state, f"{yard.label}-other", yard.image).containers(podman)
    assert theirs.list() == []
    theirs.kill(spec.run)
    assert Path(f"/proc/{started['pid']}").exists()


def test_one_run_is_one_container(yard: Yard, podman: Podman) -> None:
    containers, spec = yard.containers(podman), yard.spec()
    containers.start(spec)
    with pytest.raises(Usage, match="started before"):
        containers.start(spec)


def test_an_image_that_is_not_here_is_not_fetched(yard: Yard, podman: Podman) -> None:
    with pytest.raises(EngineError, match="did not start"):
        yard.containers(podman).start(yard.spec(image_id="1" * 64))


def test_the_order_is_in_no_place_that_others_read(yard: Yard, podman: Podman) -> None:
    containers, spec = yard.containers(podman), yard.spec()
    pid = containers.start(spec)["pid"]
    own = Path(f"/proc/{pid}")
    assert (own / "cmdline").read_bytes().rstrip(b"\0").decode().split("\0") == list(COMMAND)
    targets = {os.readlink(own / "fd" / number) for number in ("1", "2")}
    assert all("pipe" in target or target == "/dev/null" for target in targets)
    containers.stdin(spec.run, b'{"grant": "a secret word"}')
    containers.wait(spec.run)
    state = "/var/lib/containers/storage/overlay-containers"  # os.walk passes over what vanishes meanwhile
    logs = [
        Path(folder, name) for folder, _, names in os.walk(state) for name in names if name.endswith(".log")
    ]
    assert not any(path.exists() and b"a secret word" in path.read_bytes() for path in logs)


@pytest.mark.parametrize("source", ["outside", "link", "file", "missing"])
def test_a_mount_outside_the_installation_is_refused(yard: Yard, podman: Podman, source: str) -> None:
    (yard.state / "file").touch()
    (yard.state / "link").symlink_to("/etc")
    path = "/etc" if source == "outside" else str(yard.state / source)
    with pytest.raises(Usage, match="outside the installation"):
        yard.containers(podman).start(yard.spec(data=path))
    assert yard.containers(podman).list() == []
