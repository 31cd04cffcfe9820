"""Who owns which directory below the state, and who may enter it: as data, then applied, then checked by ``doctor``.

``sandbox-users`` may pass through ``gate/`` and ``custodian/`` to the two sockets and list neither; the gate may
read what the custodian publishes (sealed bytes, registers, agreements); everything else is its owner's alone.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from sandbox.deployment.places import Places
from sandbox.deployment.users import Accounts


@dataclass(frozen=True)
class Room:
    """One directory: owner, group, mode (setgid where new files must belong to the group)."""

    path: Path
    uid: int
    gid: int
    mode: int


def rooms(places: Places, accounts: Accounts) -> list[Room]:
    """All directories, parents first."""
    root, vault, gate, custodian = accounts.operator, accounts.vault, accounts.gate, accounts.custodian
    users = accounts.users_gid
    return [
        Room(places.state, root.uid, root.gid, 0o755),
        Room(places.app, root.uid, root.gid, 0o755),
        Room(places.run, root.uid, gate.gid, 0o710),
        Room(places.logs, root.uid, root.gid, 0o700),
        Room(places.vault, vault.uid, vault.gid, 0o700),
        Room(places.audit, vault.uid, gate.gid, 0o2750),
        Room(places.gate, gate.uid, users, 0o2710),
        Room(places.gate_private, gate.uid, gate.gid, 0o700),
        Room(places.doors, gate.uid, gate.gid, 0o700),
        Room(places.mlflow, gate.uid, gate.gid, 0o700),
        Room(places.custodian, custodian.uid, users, 0o2710),
        Room(places.custodian_private, custodian.uid, custodian.gid, 0o700),
        Room(places.sealed, custodian.uid, gate.gid, 0o2750),
        Room(places.registers, custodian.uid, gate.gid, 0o2750),
        Room(places.agreements, custodian.uid, gate.gid, 0o2750),
    ]


def make(rooms: list[Room]) -> None:
    """Make what is missing and set owner and mode of the rest. May run twice.

    A symbolic link in place of a room is never followed.
    """
    for room in rooms:
        if not room.path.is_dir() or room.path.is_symlink():
            room.path.mkdir(mode=0o700, parents=True)
        handle = os.open(room.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            found = os.fstat(handle)
            if (found.st_uid, found.st_gid) != (room.uid, room.gid):
                os.fchown(handle, room.uid, room.gid)
            os.fchmod(handle, room.mode)
        finally:
            os.close(handle)


def wrong(rooms: list[Room]) -> list[str]:
    """What differs from the plan, in words; empty when all is as it should be."""
    return [fault for room in rooms if (fault := _fault(room))]


def _fault(room: Room) -> str:
    try:
        found = room.path.lstat()
    except OSError:
        return f"{room.path} is missing"
    if not stat.S_ISDIR(found.st_mode):
        return f"{room.path} is not a directory"
    if (found.st_uid, found.st_gid) != (room.uid, room.gid):
        return f"{room.path} belongs to {found.st_uid}:{found.st_gid}, not {room.uid}:{room.gid}"
    mode = stat.S_IMODE(found.st_mode)
    return f"{room.path} has mode {mode:o}, not {room.mode:o}" if mode != room.mode else ""
