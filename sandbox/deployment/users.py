"""The Unix users of an installation: one a service where we are root, else all the same one."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from dataclasses import dataclass

from sandbox.errors import SandboxError

GROUP = "sandbox-users"
VAULT, GATE, CUSTODIAN = "sandbox-vault", "sandbox-gate", "sandbox-custodian"

ALONE = (
    "all services run as your own Unix user: nothing keeps you, or a program of yours, from reading the gate's "
    "and the custodian's files and credentials. Fine to try it out; for anybody's real voices run `sandbox up` as root."
)


@dataclass(frozen=True)
class Account:
    """A Unix user that owns a service: ``gid`` its own group, ``groups`` what it has besides."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()


@dataclass(frozen=True)
class Accounts:
    """Who runs what. ``separate`` is False when one user runs it all."""

    operator: Account
    vault: Account
    gate: Account
    custodian: Account
    users_gid: int
    separate: bool


def ensure() -> Accounts:
    """The accounts of this machine, made where we are root and they are missing. May run twice.

    Raises SandboxError when a user cannot be made.
    """
    if os.getuid() != 0:
        return one_user(os.getuid(), os.getgid())
    if not _group(GROUP):
        _run(["groupadd", "--system", GROUP])
    for name in (VAULT, GATE, CUSTODIAN):
        if not _user(name):
            _run(useradd(name))
    return present()


def present() -> Accounts:
    """The accounts as they are. Raises SandboxError when root finds one missing."""
    if os.getuid() != 0:
        return one_user(os.getuid(), os.getgid())
    try:
        users = grp.getgrnam(GROUP).gr_gid
        vault, gate, custodian = (pwd.getpwnam(name) for name in (VAULT, GATE, CUSTODIAN))
    except KeyError as fault:
        raise SandboxError(
            f"no such account: {fault.args[0]}", code="users.missing", mend="sandbox up"
        ) from None
    return Accounts(
        operator=Account("root", 0, 0),
        vault=Account(VAULT, vault.pw_uid, vault.pw_gid),
        # The gate hands its answers to sandbox-users through its own socket, and so does the custodian.
        gate=Account(GATE, gate.pw_uid, gate.pw_gid, (users,)),
        # The custodian also asks the gate to settle runs before an erasure: the same group lets it connect.
        custodian=Account(CUSTODIAN, custodian.pw_uid, custodian.pw_gid, (users,)),
        users_gid=users,
        separate=True,
    )


def one_user(uid: int, gid: int) -> Accounts:
    """Without root: everything is this user's."""
    name = _name(uid)
    me = Account(name, uid, gid)
    return Accounts(me, me, me, me, users_gid=gid, separate=False)


def useradd(name: str) -> list[str]:
    """The command that makes a service's user: no home, no shell, a group of its own."""
    nothing = ["--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
    return ["useradd", "--system", "--user-group", *nothing, name]


def _user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # 9: somebody else made it a moment ago (two `up` at once), which is what we wanted.
    if done.returncode not in (0, 9):
        raise SandboxError(f"{command[0]} failed: {done.stderr.strip()[:200]}", code="users.failed")
