"""Who reaches what: outside ``sandbox-users`` nothing answers; inside it two sockets do, and nothing else."""

from __future__ import annotations

import grp
import json
import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.deployment.users import GROUP
from tests.e2e.conftest import Stack

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root: it acts as other Unix users")

STRANGER = 61234  # a uid that nobody has

#: Tries every path it is given: reads files, lists directories, connects to sockets. Prints what let it in.
PROBE = """
import json, os, socket, stat, sys
reached = []
for path in json.load(sys.stdin):
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISSOCK(mode):
            with socket.socket(socket.AF_UNIX) as knock:
                knock.settimeout(3)
                knock.connect(path)
        elif stat.S_ISDIR(mode):
            os.listdir(path)
        elif stat.S_ISREG(mode):
            open(path, "rb").read(1)
        else:
            continue
    except OSError:
        continue
    reached.append(path)
print(json.dumps(reached))
"""

WRITE = """
import json, os, sys
written = []
for path in json.load(sys.stdin):
    if os.path.isdir(path) and not os.path.islink(path) and os.access(path, os.W_OK):
        written.append(path)
    elif os.path.isfile(path) and os.access(path, os.W_OK):
        written.append(path)
print(json.dumps(written))
"""


def everything(stack: Stack) -> list[str]:
    """Every path below the state, found as root."""
    found = [str(stack.house.state)]
    for base, names, files in os.walk(stack.house.state):
        found += [str(Path(base) / name) for name in (*names, *files)]
    return found


def as_user(uid: int, groups: list[int], code: str, paths: list[str]) -> list[str]:
    """Run ``code`` as a Unix user with the system's Python, in a process of its own."""
    done = subprocess.run(
        ["/usr/bin/python3", "-I", "-c", code],
        input=json.dumps(paths),
        capture_output=True,
        text=True,
        check=True,
        user=uid,
        group=uid,
        extra_groups=groups,
        cwd="/",
        env={},
    )
    found: list[str] = json.loads(done.stdout)
    return found


def private(stack: Stack, paths: list[str]) -> list[str]:
    """Those that are not for everybody: all but the state itself and ``app/`` (code, addresses, trust anchors)."""
    app = str(stack.places.app)
    return [
        path
        for path in paths
        if path != str(stack.house.state) and path != app and not path.startswith(app + "/")
    ]


@pytest.fixture
def users_group() -> int:
    return grp.getgrnam(GROUP).gr_gid


def test_a_stranger_reaches_nothing(stack: Stack) -> None:
    assert private(stack, as_user(STRANGER, [], PROBE, everything(stack))) == []


def test_an_engineer_reaches_the_two_sockets_and_nothing_else(stack: Stack, users_group: int) -> None:
    for service in ("gate", "custodian"):
        stack.until_ready(service)
    reached = private(stack, as_user(STRANGER, [users_group], PROBE, everything(stack)))
    assert sorted(reached) == sorted([str(stack.places.gate_socket), str(stack.places.custodian_socket)])


def test_nobody_outside_writes_anything_below_the_state(stack: Stack, users_group: int) -> None:
    paths = everything(stack)
    assert as_user(STRANGER, [], WRITE, paths) == []
    assert as_user(STRANGER, [users_group], WRITE, paths) == []


def test_what_everybody_may_read_holds_no_secret(stack: Stack) -> None:
    for path in (stack.places.public, stack.places.trust, stack.places.ca):
        text = path.read_text()
        assert "PRIVATE KEY" not in text and "hvs." not in text and "secret_id" not in text


def test_the_control_reaches_what_root_reaches(stack: Stack) -> None:
    """The probe works: as root it opens the very files that were closed to the others."""
    reached = as_user(0, [], PROBE, everything(stack))
    assert str(stack.places.vault / "recovery.json") in reached
    assert any(stat.S_ISSOCK(Path(path).lstat().st_mode) for path in reached)


def test_each_service_reads_its_own_and_not_its_neighbours(stack: Stack, users_group: int) -> None:
    paths = everything(stack)
    custodian = pwd.getpwnam("sandbox-custodian")
    gate = pwd.getpwnam("sandbox-gate")
    by_custodian = private(stack, as_user(custodian.pw_uid, [users_group], PROBE, paths))
    by_gate = private(stack, as_user(gate.pw_uid, [users_group], PROBE, paths))
    places = stack.places
    assert not [
        p
        for p in by_custodian
        if p.startswith((str(places.gate_private), str(places.vault), str(places.doors)))
    ]
    assert not [p for p in by_gate if p.startswith((str(places.custodian_private), f"{places.vault}/"))]


def test_the_command_line_says_who_may_let_a_stranger_in(stack: Stack) -> None:
    environ = {"XDG_RUNTIME_DIR": "/nowhere", "PATH": "/usr/bin", "PYTHONPATH": str(stack.places.app)}
    done = subprocess.run(
        [str(stack.places.python), "-m", "sandbox.cli.main", "--state", str(stack.house.state), "status"],
        user=STRANGER,
        group=STRANGER,
        extra_groups=[],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert done.returncode == 5, done.stderr
    assert "Traceback" not in done.stderr
    assert sys.executable not in done.stderr
