"""``sandbox agreement keygen|check|diff|sign|activate|status``: from terms to what every run is held against."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sandbox.cli.context import current
from sandbox.cli.show import marks
from sandbox.errors import Usage

if TYPE_CHECKING:
    from sandbox.policy.terms import Terms

FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.group()
def agreement() -> None:
    """\b
    sandbox agreement check dsa-2026-0001.yaml
    sandbox agreement diff dsa-2026-0001.v1.yaml dsa-2026-0001.yaml
    sandbox agreement sign dsa-2026-0001.yaml --key party-a.key
    sandbox agreement activate dsa-2026-0001.yaml --party-a-key party-a.pub --party-b-key party-b.pub
    """


@agreement.command()
@click.argument("name", type=click.Path(path_type=Path))
def keygen(name: Path) -> None:
    """\b
    sandbox agreement keygen party-a

    Writes party-a.key, which stays at home, and party-a.pub, which the other party is given.
    """
    from sandbox.cli.party_key import make_key, read_public

    private, public = make_key(name)
    here = current()
    if here.as_json:
        here.emit({"private": str(private), "public": str(public), "key": read_public(public).text})
        return
    click.echo(
        f"{marks(sys.stdout).good} made       {private} (keep it), {public} (give it to the other party)"
    )


@agreement.command()
@click.argument("file", type=FILE)
def check(file: Path) -> None:
    """\b
    sandbox agreement check dsa-2026-0001.yaml

    Reads the terms and lists everything that would keep them from being activated. Needs no service.
    """
    from sandbox.policy.soundness import require_sound
    from sandbox.statements import sha256

    data = file.read_bytes()
    terms = _terms(data, file.name)
    require_sound(terms)
    here = current()
    if here.as_json:
        here.emit({"agreement": terms.metadata.id, "version": terms.metadata.version, "sha256": sha256(data)})
        return
    click.echo(f"{marks(sys.stdout).good} sound      {_said(terms)}")
    click.echo(f"  sha256 {sha256(data)}")


@agreement.command()
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
def diff(old: Path, new: Path) -> None:
    """\b
    sandbox agreement diff dsa-2026-0001.v1.yaml dsa-2026-0001.v2.yaml

    Says in words what NEW allows and forbids that OLD did not. Needs no service; changes nothing.
    """
    from sandbox.cli.agreement_diff import Versions

    here = current()
    found = Versions.of(old.read_bytes(), old.name, new.read_bytes(), new.name)
    if here.as_json:
        here.emit(found.as_json())
        return
    found.show(here.console)


@agreement.command()
@click.argument("file", type=FILE)
@click.option("--key", required=True, type=FILE, help="This party's own private key.")
def sign(file: Path, key: Path) -> None:
    """\b
    sandbox agreement sign dsa-2026-0001.yaml --key party-a.key

    Signs the file's exact bytes (DSSE, ed25519) and adds the signature to dsa-2026-0001.dsse.json beside it.
    """
    from sandbox.cli.party_key import read_key
    from sandbox.policy.agreement import add_signature

    data, target = file.read_bytes(), _signatures(file)
    terms, signer = _terms(data, file.name), read_key(key)
    signed = add_signature(data, target.read_bytes() if target.exists() else None, signer)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.write_bytes(signed)
    partial.replace(target)
    here = current()
    if here.as_json:
        here.emit({"agreement": terms.metadata.id, "signatures": str(target), "key": signer.public.text})
        return
    click.echo(f"{marks(sys.stdout).good} signed     {_said(terms)} {marks(sys.stdout).arrow} {target}")


@agreement.command()
@click.argument("file", type=FILE)
@click.option("--party-a-key", required=True, type=FILE, help="Party A's public key; pinned from here on.")
@click.option("--party-b-key", required=True, type=FILE, help="Party B's public key; pinned from here on.")
def activate(file: Path, party_a_key: Path, party_b_key: Path) -> None:
    """\b
    sandbox agreement activate dsa-2026-0001.yaml --party-a-key party-a.pub --party-b-key party-b.pub

    The custodian verifies both signatures, pins both keys and enters the agreement as active. A later version that only
    narrows needs Party A's signature alone, and stops at once what it forbids.
    """
    from sandbox.cli.party_key import read_public

    signatures = _signatures(file)
    if not signatures.exists():
        raise Usage(
            f"{signatures} is missing: nobody has signed {file.name}",
            code="agreement.unsigned",
            mend=f"sandbox agreement sign {file} --key KEY, once by each party",
        )
    body = {
        "name": file.name,
        "agreement": base64.b64encode(file.read_bytes()).decode(),
        "envelope": base64.b64encode(signatures.read_bytes()).decode(),
        "party_a_key": read_public(party_a_key).text,
        "party_b_key": read_public(party_b_key).text,
    }
    here = current()
    with here.custodian() as custodian:
        answer = custodian.post("/v1/agreements", body)
    if here.as_json:
        here.emit(answer)
        return
    by = "Party A alone (it only narrows)" if answer.get("signed_by") == "a" else "both parties"
    said = f"{answer['agreement']} v{answer['version']}, signed by {by}, sha256 {answer['digest'][:12]}…"
    click.echo(f"{marks(sys.stdout).good} {answer['status']:<10} {said}")


@agreement.command()
@click.argument("name", required=False)
@click.option(
    "--set", "wanted", type=click.Choice(["active", "suspended", "terminated"]), help="Only Party A may."
)
def status(name: str | None, wanted: str | None) -> None:
    """\b
    sandbox agreement status
    sandbox agreement status dsa-2026-0001 --set suspended

    While it is not active nothing decrypts, and no run is admitted. What has ended is not taken up again.
    """
    here = current()
    with here.custodian() as custodian:
        if wanted:
            if not name:
                raise Usage("which agreement?", mend="sandbox agreement status NAME --set suspended")
            found = [custodian.post("/v1/status", {"agreement": name, "status": wanted})]
        else:
            found = list(custodian.pages("/v1/status", {"agreement": name or ""}))
    if here.as_json:
        for entry in found:
            here.emit(entry)
        return
    from sandbox.cli.show import grid

    rows = [(e["agreement"], f"v{e['version']}", e["status"], f"{e['digest'][:12]}…") for e in found]
    grid(here.console, ("agreement", "version", "status", "sha256"), rows)


def _signatures(file: Path) -> Path:
    """``NAME.dsse.json`` beside ``NAME.yaml``."""
    return file.with_suffix(".dsse.json")


def _terms(data: bytes, name: str) -> Terms:
    from sandbox.policy.documents import read
    from sandbox.policy.terms import Terms

    return read(data, Terms, name)


def _said(terms: Terms) -> str:
    count = len(terms.datasets)
    return f"{terms.metadata.id} v{terms.metadata.version}, {count} dataset{'' if count == 1 else 's'}"
