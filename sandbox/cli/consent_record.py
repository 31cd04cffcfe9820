"""`sandbox consent sign|import|show`: records that Party A signs, and the whole history of a data subject."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path
from typing import Any

import click

from sandbox.cli.context import current
from sandbox.cli.show import grid, local_time, marks
from sandbox.errors import Usage

FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@click.argument("file", type=FILE)
@click.option("--key", required=True, type=FILE, help="Party A's own private key.")
def sign(file: Path, key: Path) -> None:
    """\b
    sandbox consent sign consents.yaml --key party-a.key

    At Party A. Reads every record, names each fault with its line, and signs the file's exact bytes (DSSE, ed25519)
    into consents.dsse.json beside it. Needs no service.
    """
    from sandbox.cli.party_key import read_key
    from sandbox.policy.consent_file import read_consents, sign_consents

    data, target = file.read_bytes(), file.with_suffix(".dsse.json")
    records, signer = read_consents(data, file.name), read_key(key)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.write_bytes(sign_consents(data, signer))
    partial.replace(target)
    here = current()
    if here.as_json:
        here.emit({"records": len(records), "signature": str(target), "key": signer.public.text})
        return
    mark = marks(sys.stdout)
    click.echo(f"{mark.good} signed     {counted(len(records))} {mark.arrow} {target}")


@click.command("import")
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILE...")
def import_(files: tuple[Path, ...]) -> None:
    """\b
    sandbox consent import consents.yaml

    A YAML or JSON file with one record, a list of them, or a list under `consents`, and Party A's signature beside it;
    of each file all records go in, or none. A file that is in already changes nothing.
    """
    here = current()
    bodies = [(file, signed(file)) for file in files]  # a file without a signature keeps every file out
    with here.custodian() as custodian:
        for file, body in bodies:
            answer = custodian.post("/v1/consents", {"import": body})
            if here.as_json:
                here.emit(answer)
                continue
            click.echo(f"{marks(sys.stdout).good} imported   {counted(answer['entered'])} from {file.name}")
            tell_barred(answer["barred"])


@click.command()
@click.argument("subject")
@click.option("--dataset", default="", help="Only for this dataset.")
def show(subject: str, dataset: str) -> None:
    """\b
    sandbox consent show spk_7f3a --dataset studio-01

    Everything that this person ever said, with who entered it and when, and until when it stands and why.
    """
    here = current()
    with here.custodian() as custodian:
        found = custodian.get(f"/v1/consents/{subject}", {"dataset": dataset} if dataset else None)
    if here.as_json:
        here.emit(found)
        return
    rows = [
        (
            str(one["seq"]),
            str(one["record_id"]),
            str(one["dataset"]),
            str(one["status"]).removeprefix("Consent"),
            scope_of(one["scope"]),
            str(one["by"]),
            local_time(str(one["entered"])),
            f"{one['digest'][:12]}…",
        )
        for one in found["items"]
    ]
    head = ("entry", "consent", "dataset", "status", "scope", "entered by", "at", "sha256")
    grid(here.console, head, rows)
    for one in found["stands"]:
        until = f" until {local_time(one['until'])}" if one["until"] else ""
        why = f" ({one['why']})" if one["why"] else ""
        status = str(one["status"]).removeprefix("Consent")
        here.console.print(f"{one['dataset']}: {status}{until}{why}", soft_wrap=True)


def signed(file: Path) -> dict[str, str]:
    """The file and its signature, as the custodian takes them. Raises Usage when there is no signature."""
    beside = file.with_suffix(".dsse.json")
    if not beside.exists():
        raise Usage(
            f"{beside} is missing: nobody has signed {file.name}",
            code="consents.unsigned",
            mend=f"Party A signs it: sandbox consent sign {file} --key party-a.key",
        )
    parts = {"file": file.read_bytes(), "envelope": beside.read_bytes()}
    return {"name": file.name, **{name: base64.b64encode(data).decode() for name, data in parts.items()}}


def scope_of(scope: dict[str, Any]) -> str:
    """Every flag that was said yes to, in words."""
    abroad = scope.get("cross_border") or {}
    said = [name for name, given in scope.items() if given is True]
    said += [f"cross_border:{','.join(abroad['recipients']) or '-'}"] if abroad.get("allowed") else []
    return " ".join(said) or "-"


def counted(number: int) -> str:
    return f"{number} consent{'' if number == 1 else 's'}"


def tell_barred(barred: dict[str, dict[str, list[str]]]) -> None:
    for dataset, purposes in barred.items():
        for purpose, subjects in purposes.items():
            click.echo(f"  {dataset}, {purpose}: {len(subjects)} barred {' '.join(subjects)}".rstrip())
