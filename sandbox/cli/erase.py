"""`sandbox erase SUBJECT…`: forget people. The steps, and who carries what, are in :mod:`sandbox.cli.forgetting`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sandbox.cli.context import Context, current
from sandbox.cli.second_factor import code_option, fresh_code
from sandbox.errors import Usage

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("subjects", metavar="SUBJECT...", nargs=-1)
@click.option(
    "--from", "listed", type=FILE, help="A file that names one person a line; - for standard input."
)
@click.option("--dataset", help="Only from this dataset; from all, unless given.")
@click.option("--witness", help="Another person who stands in the certificate as its witness.")
@click.option(
    "--without-receipt", metavar="REASON", default="", help="Go on though the gate is gone; recorded."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@code_option
@click.option(
    "--certificate", metavar="SUBJECT", help="Only fetch the certificate of somebody erased before."
)
@click.option(
    "--list", "as_list", is_flag=True, help="Only fetch the list of all erasures, for Party A to keep."
)
@click.option("-o", "output", type=FILE, help="With --certificate or --list: where to write it.")
def erase(
    subjects: tuple[str, ...],
    listed: Path | None,
    dataset: str | None,
    witness: str | None,
    without_receipt: str,
    yes: bool,
    totp_stdin: bool,
    certificate: str | None,
    as_list: bool,
    output: Path | None,
) -> None:
    """\b
    sandbox erase spk_7f3a
    sandbox erase --from leavers.txt
    sandbox erase --certificate spk_7f3a -o spk_7f3a.dsse.json
    sandbox erase --list -o erasures.jsonl

    Runs that hold the voice end first; then the key is destroyed and that is proved, and what was made of the voice is
    marked. Signed certificates and the list of all erasures are written beside you: keep the list elsewhere, for a
    restored backup is brought up to date with it. Interrupted, ask again: it goes on where it stopped.
    """
    from sandbox.cli import forgetting

    here = current()
    if certificate is not None:
        forgetting.fetch_certificate(here, certificate, output)
        return
    if as_list:
        forgetting.fetch_list(here, output or Path(forgetting.LIST))
        return
    if totp_stdin and str(listed) == "-":
        raise Usage("standard input holds the names or the code, not both", mend="name a file with --from")
    people = list(dict.fromkeys([*subjects, *_named(listed)]))
    if not people:
        raise Usage("nobody is named", mend="sandbox erase SUBJECT, or --from FILE")
    _confirm(here, people, yes)
    forgetting.forget(here, people, dataset, witness, without_receipt, lambda: fresh_code(here, totp_stdin))


def _named(listed: Path | None) -> list[str]:
    """One pseudonym a line; empty lines and what follows # are passed over."""
    if listed is None:
        return []
    try:
        text = sys.stdin.read() if str(listed) == "-" else listed.read_text()
    except (OSError, UnicodeDecodeError) as fault:
        raise Usage(f"{listed} cannot be read: {type(fault).__name__}", code="file.unreadable") from None
    return [name for line in text.splitlines() if (name := line.partition("#")[0].strip())]


def _confirm(here: Context, people: list[str], yes: bool) -> None:
    if yes or here.as_json:
        return
    whom = people[0] if len(people) == 1 else f"{len(people)} people"
    click.confirm(f"Destroy the key of {whom}? Nothing brings it back", abort=True, err=True)


command = erase
