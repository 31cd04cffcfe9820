"""What the kernel shows is compared property by property: one that differs, lacks or is new is named."""

from __future__ import annotations

import json

import pytest

from sandbox.isolation import readback
from sandbox.isolation.readback import compare
from sandbox.isolation.spec import Spec, expected

SPEC = Spec("r-2345", "0" * 64, "/s/doors", "/s/recipe")
WRONG: dict[str, object] = {
    "uid": [0, 0, 0, 0],
    "gid": [0, 0, 0, 0],
    "groups": [27],
    "capabilities effective": 1 << 21,
    "capabilities bounding": 0xA80425FB,
    "no new privileges": False,
    "seccomp": "off",
    "own namespaces": ["ipc", "mnt", "pid", "uts"],
    "network interfaces": ["eth0", "lo"],
    "routes": ["00000000"],
    "root file system": "writable",
    "mounts": ["/recipe", "/run/gate", "/var/run/docker.sock"],
    "writable mounts": ["/", "/tmp"],
    "devices": ["/dev/kvm", "/dev/null"],
    "scratch": ["nodev", "nosuid", 268435456],
    "memory bytes": None,
    "memory and swap bytes": 1 << 40,
    "processes": None,
    "processors": None,
    "core dump bytes": "unlimited",
    "open files": 1 << 20,
    "command": ["/bin/sh"],
    "environment": ["HOME", "VAULT_TOKEN"],
}


def seen() -> dict[str, object]:
    """As it comes through the launcher's socket."""
    return dict(json.loads(json.dumps(expected(SPEC))))


def test_a_container_as_asked_has_no_difference() -> None:
    assert compare(SPEC, seen()) == []
    assert len(expected(SPEC)) >= 23


@pytest.mark.parametrize("name", WRONG)
def test_one_property_that_differs_is_named(name: str) -> None:
    assert [found.name for found in compare(SPEC, {**seen(), name: WRONG[name]})] == [name]


@pytest.mark.parametrize("name", list(expected(SPEC)))
def test_a_property_that_is_missing_is_a_difference(name: str) -> None:
    short = seen()
    del short[name]
    assert [found.name for found in compare(SPEC, short)] == [name]


def test_a_property_that_nobody_asked_for_is_a_difference() -> None:
    assert [found.name for found in compare(SPEC, {**seen(), "new": 1})] == ["new"]


STATUS = """Name:\tpython
Uid:\t265532\t265532\t265532\t265532
Gid:\t265532\t265532\t265532\t265532
Groups:\t265532
CapInh:\t0000000000000000
CapPrm:\t0000000000000000
CapEff:\t0000000000000400
CapBnd:\t0000000000000000
CapAmb:\t0000000000000000
NoNewPrivs:\t1
Seccomp:\t2
"""


def test_status_is_read_as_the_kernel_writes_it() -> None:
    status = readback.parse_status(STATUS)
    assert status["uid"] == (265532,) * 4
    assert status["groups"] == ()
    assert status["capabilities effective"] == 1 << 10
    assert status["seccomp"] == "filter"
    assert readback.parse_status(STATUS.replace("Seccomp:\t2", "Seccomp:\t0"))["seccomp"] == "off"


def mounts(*lines: str) -> dict[str, object]:
    return readback.describe_mounts(readback.parse_mounts("\n".join(lines)))


ROOT = "1 0 0:40 / / ro,relatime - overlay overlay rw"
TMP = "2 1 0:44 / /tmp rw,nosuid,nodev,noexec - tmpfs tmpfs rw,size=262144k"
DATA = "3 1 254:0 /x /data ro,nosuid,nodev,noexec - ext4 /dev/vda rw"


def test_mounts_are_read_as_the_kernel_writes_them() -> None:
    shown = mounts(ROOT, TMP, DATA)
    assert shown["root file system"] == "read-only"
    assert shown["mounts"] == ("/data",)
    assert shown["writable mounts"] == ("/tmp",)
    assert shown["scratch"] == ("nodev", "noexec", "nosuid", 256 << 20)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        pytest.param(ROOT.replace("/ ro,", "/ rw,"), "root file system", id="a writable root"),
        pytest.param(DATA.replace(" ro,", " rw,"), "mounts", id="a writable mount"),
        pytest.param(
            DATA.replace("/data", "/etc/passwd").replace(" ro,", " rw,"),
            "writable mounts",
            id="a writable file",
        ),
        pytest.param(TMP.replace(",noexec", ""), "scratch", id="programs in the scratch"),
        pytest.param("9 1 0:6 /kvm /dev/kvm rw - devtmpfs devtmpfs rw", "devices", id="one more device"),
    ],
)
def test_a_mount_that_is_not_as_asked_shows(line: str, name: str) -> None:
    good = {entry.split()[4]: entry for entry in (ROOT, TMP, DATA)}
    before = mounts(*good.values())
    assert mounts(*{**good, line.split()[4]: line}.values())[name] != before[name]
