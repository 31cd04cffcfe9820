"""`sandbox backup key|make|restore|drill`: copies of an installation, and the key without which they open nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from sandbox.cli.backup_inputs import free_ports, kept_key, listed
from sandbox.cli.context import Context, current
from sandbox.cli.show import marks, thousands
from sandbox.errors import Usage

NEW = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)


@click.group()
def backup() -> None:
    """\b
    sandbox backup key /media/safe/seal.key
    sandbox backup make /backups/2026-11-26
    sandbox backup restore /backups/2026-11-26 --seal-key /media/safe/seal.key --erasures erasures.jsonl
    sandbox backup drill --erasures erasures.jsonl
    """


@backup.command()
@click.argument("file", type=NEW)
def key(file: Path) -> None:
    """\b
    sandbox backup key /media/safe/seal.key

    Copies the seal key, without which a backup opens nothing, to a place of its own. Whoever holds it and a backup
    holds everything: give them to different people.
    """
    from sandbox.deployment.backup.keys import keep

    here = current()
    found = keep(here.places, file)
    if here.as_json:
        here.emit({"file": str(file), "digest": found.digest})
    else:
        click.echo(
            f"{marks(sys.stdout).good} kept       {file} {marks(sys.stdout).dot} key {found.digest[:12]}"
        )


@backup.command()
@click.argument("folder", type=NEW)
def make(folder: Path) -> None:
    """\b
    sandbox backup make /backups/2026-11-26

    Ciphertext, registers, databases, evidence and a snapshot of Vault, while all runs. The seal key is not in it.
    """
    from sandbox.deployment.backup.making import make as make_backup
    from sandbox.deployment.settings import Settings

    here = current()
    book = make_backup(here.places, Settings.read(here.places), folder, datetime.now(UTC), _say(here))
    if here.as_json:
        here.emit(
            {"folder": str(folder), "files": len(book.files), "bytes": book.size, "lacks": list(book.lacks)}
        )
        return
    mark = marks(sys.stdout)
    click.echo(
        f"{mark.good} made       {folder}, {thousands(len(book.files))} files, {thousands(book.size)} bytes"
    )
    click.echo(
        f"  delete it by {book.expires_at:%Y-%m-%d}: certificates of erasure say that no snapshot is older"
    )
    for what in book.lacks:
        click.echo(f"  not in it: {what}")


@backup.command()
@click.argument("folder", type=FOLDER)
@click.option("--seal-key", "seal_key", type=FILE, required=True, help="A file of `sandbox backup key`.")
@click.option("--erasures", type=FILE, help="Party A's list of erasures, or an evidence pack that holds it.")
@click.option("--no-erasures", is_flag=True, help="Nobody was ever erased, or all lists are lost.")
@click.option("--expired", is_flag=True, help="Restore it though its life has ended; recorded.")
def restore(folder: Path, seal_key: Path, erasures: Path | None, no_erasures: bool, expired: bool) -> None:
    """\b
    sandbox backup restore /backups/2026-11-26 --seal-key seal.key --erasures erasures.jsonl --state /srv/voices

    Into a state where nothing was set up. No run policy is restored: at the next `sandbox up` everybody on the list
    loses their key again, and only then may runs decrypt.
    """
    from sandbox.deployment import users
    from sandbox.deployment.backup.keys import SealKey
    from sandbox.deployment.backup.restoring import Restoring
    from sandbox.deployment.backup.restoring import restore as bring_back
    from sandbox.deployment.install import Source
    from sandbox.deployment.settings import Settings

    here = current()
    if (erasures is None) != no_erasures:
        raise Usage(
            "who was erased since the backup was made?",
            code="restore.no_list",
            mend="--erasures FILE, as Party A keeps it; --no-erasures where there is none",
        )
    templates = Source.running(os.environ).root / "configs" / "vault"
    asked = Restoring(folder, SealKey.read(seal_key), listed(erasures), expired)
    book = bring_back(
        here.places,
        users.ensure(),
        free_ports(Settings.read(here.places)),
        templates,
        asked,
        datetime.now(UTC),
        _say(here),
    )
    if here.as_json:
        here.emit({"state": str(here.state), "files": len(book.files), "made_at": book.made_at.isoformat()})
        return
    mark = marks(sys.stdout)
    click.echo(
        f"{mark.good} restored   {here.state}, as of {book.made_at:%Y-%m-%d %H:%M} UTC; no run policy stands"
    )
    click.echo("  next: sandbox up, which honours the list of erasures before anything decrypts")
    click.echo(
        f"  consents withdrawn after {book.made_at:%Y-%m-%d %H:%M} UTC stand again: withdraw them at once"
    )


@backup.command()
@click.option(
    "--seal-key", "seal_key", type=FILE, help="A file of `sandbox backup key`; else the one made last."
)
@click.option("--erasures", type=FILE, help="Party A's list of erasures, or an evidence pack that holds it.")
@click.option("--scratch", type=NEW, help="Where to restore it for a moment; STATE.drill, unless given.")
def drill(seal_key: Path | None, erasures: Path | None, scratch: Path | None) -> None:
    """\b
    sandbox backup drill

    Makes a backup, restores it beside the installation, starts Vault and custodian from it, looks, and removes it all.
    """
    from sandbox.deployment import users
    from sandbox.deployment.backup.drill import drill as rehearse
    from sandbox.deployment.settings import Settings

    here = current()
    place = scratch or here.state.with_name(f"{here.state.name}.drill")
    held, people = kept_key(here, seal_key), listed(erasures)
    found = rehearse(
        here.places,
        users.present(),
        Settings.read(here.places),
        place,
        held,
        people,
        datetime.now(UTC),
        _say(here),
    )
    if here.as_json:
        here.emit({"files": found.files, "bytes": found.bytes, "seconds": found.seconds})
        return
    mark = marks(sys.stdout)
    times = f" {mark.dot} ".join(f"{part} {seconds:.1f} s" for part, seconds in found.seconds.items())
    click.echo(f"{mark.good} restored   {thousands(found.files)} files, {thousands(found.bytes)} bytes")
    click.echo(f"{mark.good} took       {sum(found.seconds.values()):.1f} s: {times}")


def _say(here: Context) -> Callable[[str], None]:
    def say(what: str) -> None:
        if not here.as_json:
            click.echo(f"  {what}", err=True)

    return say


command = backup
