"""`sandbox backup make`: a backup of a running installation, whole or not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from sandbox.deployment.backup import copying, keys
from sandbox.deployment.backup.book import NAME, Book, Entry
from sandbox.deployment.places import Places
from sandbox.deployment.settings import Settings
from sandbox.deployment.vault_recovery import supervise
from sandbox.deployment.vault_server import replace_file
from sandbox.errors import Conflict, Usage
from sandbox.policy.backup import snapshot_days
from sandbox.runs import utc
from sandbox.vault import snapshots

SNAPSHOT = "vault.snapshot"
JOURNAL = "vault/bootstrap.json"  # how far Vault's setup has come; holds no secret
ATTEMPTS = 5


def make(places: Places, settings: Settings, target: Path, now: datetime, say: Callable[[str], None]) -> Book:
    """Write ``target``, which must not exist. The seal key is not in it.

    Raises:
        Usage: ``target`` is there, lies in the state, or a copy of the seal key lies in it.
        VaultUnreachable: Vault does not run.
        Conflict: registers were written to all the time.
    """
    if target.exists():
        raise Usage(f"{target} is already there", code="file.exists", mend="name a new folder")
    if places.state.resolve() in target.resolve().parents:
        raise Usage(f"{target} lies in the state itself", code="backup.not_apart", mend="keep it elsewhere")
    keys.require_without(target, keys.noted(places, "keys"))
    key, days = keys.present(places), snapshot_days(places.app / "configs" / "backup.yaml")
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # what an earlier one left when it was cut off
    partial.mkdir(mode=0o700, parents=True)
    until = utc(now + timedelta(days=days))
    keys.note(
        places, "backups", {"path": str(partial.absolute()), "expires_at": until}
    )  # should it be killed
    try:
        files = _consistent(places, settings, partial, say)
        book = Book.begin(now, days, key.digest, str(places.state), files, _lacks(places, settings))
        replace_file(partial / NAME, book.to_bytes(), 0o600)
        os.sync()
        partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)  # a snapshot of Vault whose end nobody would watch
        raise
    keys.note(places, "backups", {"path": str(target.absolute()), "expires_at": until})
    return book


def _consistent(
    places: Places, settings: Settings, partial: Path, say: Callable[[str], None]
) -> dict[str, Entry]:
    """Copied again while somebody enters something: a database would name entries that the registers lack."""
    for _ in range(ATTEMPTS):
        before = copying.registers(places)
        files = _copy(places, settings, partial, say)
        if copying.registers(places) == before:
            return files
        say("something was entered meanwhile: once more")
        for entry in partial.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    raise Conflict("the registers are written to all the time", code="backup.busy", mend="try again later")


def _copy(places: Places, settings: Settings, partial: Path, say: Callable[[str], None]) -> dict[str, Entry]:
    say("Vault's snapshot")
    vault = supervise(f"https://127.0.0.1:{settings.vault_port}", places.ca, places.vault / "supervisor.json")
    try:
        replace_file(partial / SNAPSHOT, snapshots.take(vault), 0o600)
        vault.write("auth/token/revoke-self")
    finally:
        vault.close()
    files = {SNAPSHOT: copying.entry(partial / SNAPSHOT)}
    files[JOURNAL] = copying.copy_file(places.state / JOURNAL, partial / JOURNAL)
    for room in copying.BEFORE:
        say(f"{room}: registers, agreements and ciphertext")
        files |= copying.copy_room(places.state, room, partial)
    for name in copying.DATABASES:
        if (places.state / name).exists():
            say(name)
            files[name] = copying.copy_database(places.state / name, partial / name)
    for room in copying.AFTER:
        say(room)
        files |= copying.copy_room(places.state, room, partial)
    return files


def _lacks(places: Places, settings: Settings) -> list[str]:
    found = ["the seal key and the supervisor's login: sandbox backup key FILE"]
    if settings.tracking_uri:
        found.append("MLflow's own server")
    if (places.custodian_private / "storage.json").exists():
        found.append("sealed objects in the object store, and the keys to it: they have copies of their own")
    return found
