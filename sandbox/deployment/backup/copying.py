"""How the state's files go into a backup and come out again: which, in which order, as whose.

The order keeps a backup of a running installation whole. Vault's snapshot comes first: what it names (versions,
entries, the mark of the gate's log) is there by then, for files are only added. A database comes before the files that
it names, because those were written first. If a register grew meanwhile, all is copied again.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sandbox.deployment.backup.book import Entry, digest
from sandbox.deployment.places import Places
from sandbox.deployment.users import Account, Accounts
from sandbox.errors import Unreachable

#: Below each: what is of this start only, a secret of this machine, or copied in another way.
LEFT_OUT = {
    "custodian": {"api.sock", "private"},  # its own login, answers and the object store's key
    "gate/private": {
        *("login.wrap", "storage.json", "gate.lock", "gate.log", "answers.db", "gate.db"),
        *("staging", "incoming", "sealed", "bases"),  # published files are public: they are sent again
    },
    "mlflow": {"ui.sock", "server.log", "mlflow.db"},
    "audit": set(),
}
DATABASES = ("gate/private/gate.db", "mlflow/mlflow.db")
#: In this order: first what the registers and heads name, then databases, then what those name.
BEFORE, AFTER = ("custodian",), ("gate/private", "mlflow", "audit")
_SIDE_FILES = ("-wal", "-shm", "-journal")
_CONSIGNMENT = (
    ".consignment"  # with a snapshot of Vault it would open again after an erasure; it is sent again
)


def files_of(state: Path, room: str) -> Iterator[Path]:
    """Plain files below a room, as names relative to the state; a link is never followed, a pipe or socket is left."""
    for place, folders, names in os.walk(state / room):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT[room])
        for name in sorted(names):
            path = Path(place) / name
            other = (
                name in LEFT_OUT[room]
                or name.endswith((*_SIDE_FILES, _CONSIGNMENT))
                or name.startswith(".partial-")
            )
            if not other and path.is_file() and not path.is_symlink():
                yield path.relative_to(state)


def belongs(name: str) -> bool:
    """Whether a backup may hold a file of this name: of a room that is copied, and nothing that is left out of it."""
    if name in DATABASES:
        return True
    parts = Path(name).parts
    for room, out in LEFT_OUT.items():
        inside = Path(room).parts
        if parts[: len(inside)] == inside:
            return not out & set(parts[len(inside) :])
    return False


def registers(places: Places) -> list[str]:
    """What every register holds now; two equal looks mean that nothing was entered between."""
    return sorted(str(path.relative_to(places.registers)) for path in places.registers.rglob("*.dsse.json"))


def copy_room(state: Path, room: str, target: Path) -> dict[str, Entry]:
    found = {}
    for name in files_of(state, room):
        try:
            found[str(name)] = copy_file(state / name, target / name)
        except FileNotFoundError:  # taken away since it was listed: nothing names it any more
            (target / name).unlink(missing_ok=True)
    return found


def copy_file(source: Path, target: Path) -> Entry:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target, follow_symlinks=False)
    mode = source.stat().st_mode & 0o777
    target.chmod(mode)
    return entry(target)


def entry(path: Path) -> Entry:
    found = path.stat()
    return Entry(digest(path), found.st_size, found.st_mode & 0o777)


def copy_database(source: Path, target: Path) -> Entry:
    """One moment of a SQLite database that is in use. Raises Unreachable when it cannot be read."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        asked = f"file:{source}?mode=ro"
        with (
            closing(sqlite3.connect(asked, uri=True, timeout=30)) as live,
            closing(sqlite3.connect(target)) as kept,
        ):
            live.backup(kept)
    except sqlite3.Error as fault:
        raise Unreachable(f"{source.name} cannot be copied: {fault}", code="backup.database") from None
    target.chmod(0o600)
    return entry(target)


def owner(accounts: Accounts, name: str) -> tuple[Account, int]:
    """Whose a restored file is, and of which group."""
    room, _, rest = name.partition("/")
    if room == "custodian":
        shared = rest.partition("/")[0] in ("sealed", "registers", "agreements")
        return accounts.custodian, accounts.gate.gid if shared else accounts.custodian.gid
    if room == "audit":
        return accounts.vault, accounts.gate.gid
    if room == "vault":
        return accounts.vault, accounts.vault.gid
    return accounts.gate, accounts.gate.gid


def put_back(folder: Path, state: Path, name: str, mode: int, accounts: Accounts) -> None:
    """A file of the backup in its place, its owner's; folders on the way likewise."""
    target = state / name
    account, gid = owner(accounts, name)
    missing = [parent for parent in target.parents if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(mode=0o700)
        _give(parent, account, gid, accounts)
        parent.chmod(_folder_mode(name))
    shutil.copyfile(folder / name, target)
    _give(target, account, gid, accounts)
    target.chmod(mode)


def _folder_mode(name: str) -> int:
    """As the services make them: closed, but for what the gate and containers read.

    Setgid where the custodian writes on: what it enters next must belong to the gate's group too.
    """
    if name.startswith(("custodian/registers/", "custodian/agreements/")):
        return 0o2750
    if name.startswith("custodian/sealed/"):
        return 0o2755
    return 0o755 if name.startswith("gate/private/") else 0o700


def _give(path: Path, account: Account, gid: int, accounts: Accounts) -> None:
    if accounts.separate:
        os.chown(path, account.uid, gid, follow_symlinks=False)
