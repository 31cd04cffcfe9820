"""`sandbox backup restore`: a backup into a fresh state, where nothing decrypts until Party A's list was honoured.

1. The backup is whole, young enough, and this seal key is its own.   2. ``run/restoring`` stands: `up` refuses until 6.
3. Files in their places, their owners'.   4. Vault out of its snapshot, without any run policy.
5. What gate and custodian must honour at their next start: the list of erasures, and that this restore was meant.
6. ``run/restoring`` goes. Cut off before, the next restore begins from nothing.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sandbox.deployment import layout, programs
from sandbox.deployment.backup import copying
from sandbox.deployment.backup.book import NAME, Book, digest
from sandbox.deployment.backup.keys import SealKey, fit
from sandbox.deployment.backup.making import JOURNAL, SNAPSHOT
from sandbox.deployment.backup.reviving import revive
from sandbox.deployment.files import write_json
from sandbox.deployment.places import Places
from sandbox.deployment.settings import Settings
from sandbox.deployment.users import Accounts
from sandbox.deployment.vault_server import replace_file
from sandbox.errors import Conflict, EvidenceMismatch, Refused, Usage
from sandbox.runs import utc

ROOMS = ("vault", "custodian", "gate", "mlflow", "audit", "doors")


@dataclass(frozen=True)
class Restoring:
    """What is asked. ``erasures`` are signed entries, as Party A kept them; ``expired`` lets an old backup in."""

    folder: Path
    key: SealKey
    erasures: tuple[str, ...]
    expired: bool = False


def restore(
    places: Places,
    accounts: Accounts,
    settings: Settings,
    templates: Path,
    asked: Restoring,
    now: datetime,
    say: Callable[[str], None],
) -> Book:
    """Nothing runs afterwards: `sandbox up` brings it up.

    Raises:
        Refused: ``backup.expired``; Conflict: ``state.not_fresh``; EvidenceMismatch: the backup or key is another.
    """
    book = Book.read(asked.folder)
    if now >= book.expires_at and not asked.expired:
        raise Refused(
            f"this backup's life ended at {utc(book.expires_at)}: certificates of erasure rely on that",
            code="backup.expired",
            mend="delete it; --expired restores it all the same, and is recorded",
        )
    fit(asked.key, book.key)
    _require_ours(book)
    say("comparing every byte with what was backed up")
    book.check(asked.folder)
    _fresh(places)  # 2.
    layout.make(layout.rooms(places, accounts))
    settings.write(places)
    for name, entry in book.files.items():  # 3.
        if name != SNAPSHOT:
            copying.put_back(asked.folder, places.state, name, entry.mode, accounts)
    say("Vault out of its snapshot")
    server = replace(programs.server(places, accounts, settings), templates=templates)
    uid, gid = server.uid, server.gid
    login = json.dumps(asked.key.supervisor).encode()
    replace_file(places.vault / "supervisor.json", login, 0o600, uid, gid)
    snapshot, log = (asked.folder / SNAPSHOT).read_bytes(), places.vault / "restore.log"
    revive(server, asked.key, snapshot, _datasets(places), log)  # 4.
    if accounts.separate:
        os.chown(log, accounts.vault.uid, accounts.vault.gid)
    _tell(places, accounts, book, asked, now)  # 5.
    os.sync()  # whole on the disk before it counts as whole
    (places.run / "restoring").unlink()  # 6.
    return book


def unfinished(places: Places) -> None:
    """Raises Conflict while a restore was cut off: half of an installation must not start."""
    if (places.run / "restoring").exists():
        raise Conflict(
            f"a restore into {places.state} did not finish",
            code="restore.unfinished",
            mend="sandbox backup restore once more",
        )


def _require_ours(book: Book) -> None:
    """What a backup holds is written by root into the state: no program, no key, no login, no odd permission.

    Raises EvidenceMismatch naming what none of ours holds; Usage without Vault's snapshot.
    """
    for name, entry in book.files.items():
        if name not in (SNAPSHOT, JOURNAL) and not copying.belongs(name):
            raise EvidenceMismatch(f"no backup holds a file {name!r}", code="backup.foreign")
        if type(entry.mode) is not int or entry.mode & ~0o777:
            raise EvidenceMismatch(f"the backup's {name} has no permission bits", code="backup.foreign")
    if SNAPSHOT not in book.files:
        raise Usage("the backup holds no snapshot of Vault", code="backup.none", mend="use another backup")


def _fresh(places: Places) -> None:
    """Nothing was ever set up here, or a restore was cut off: then what it left is removed."""
    marker = places.run / "restoring"
    if not marker.exists():
        used = [room for room in ROOMS if _files(places.state / room)]
        if used:
            raise Conflict(
                f"{places.state} is in use ({', '.join(used)})",
                code="state.not_fresh",
                mend="sandbox down --purge, or another --state",
            )
    places.run.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_json(marker, {}, 0o600)
    for room in ROOMS:
        shutil.rmtree(places.state / room, ignore_errors=True)


def _datasets(places: Places) -> list[str]:
    """Every dataset that a run policy may speak of: the register names those in an object store too."""
    found = {path.name for path in places.sealed.iterdir() if path.is_dir()}
    for path in (places.registers / "dataset").glob("*.dsse.json"):
        payload = json.loads(base64.b64decode(json.loads(path.read_bytes())["payload"]))
        found.add(str(payload["predicate"]["entry"]["dataset"]))
    return sorted(found)


def _files(room: Path) -> bool:
    return any(path.is_file() for path in room.rglob("*")) if room.is_dir() else False


def _tell(places: Places, accounts: Accounts, book: Book, asked: Restoring, now: datetime) -> None:
    said = {
        "backup": digest(asked.folder / NAME),
        "made_at": utc(book.made_at),
        "expired": now >= book.expires_at,
        "at": utc(now),
    }
    lists = {"custodian": {**said, "erasures": list(asked.erasures)}, "gate": said}
    for service, account in (("custodian", accounts.custodian), ("gate", accounts.gate)):
        owner = (account.uid, account.gid) if accounts.separate else (None, None)
        data = json.dumps(lists[service]).encode()
        replace_file(places.private(service) / "restored.json", data, 0o600, *owner)
