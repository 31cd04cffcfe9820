"""`sandbox subject keygen|export|open`: everything held about one pseudonym, for Party A, who knows whose it is."""

from __future__ import annotations

import base64
import json
import os
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from sandbox.cli.context import current
from sandbox.cli.show import marks
from sandbox.client import Address
from sandbox.errors import Unreachable, Usage

FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
NOT_HERE = (
    "Recordings and transcripts are not in this export: they are sealed under the person's own key, and neither "
    "service can open them. Party A holds the originals."
)


@click.group()
def subject() -> None:
    """\b
    sandbox subject keygen desk                                  # Party A, once: desk.key stays, desk.pub is given away
    sandbox subject export spk_7f3a --to desk.pub -o spk_7f3a.export
    sandbox subject open spk_7f3a.export --key desk.key -o spk_7f3a.json
    """


@subject.command()
@click.argument("name", type=click.Path(path_type=Path))
def keygen(name: Path) -> None:
    """\b
    sandbox subject keygen desk

    At Party A. Writes desk.key (x25519; it stays there) and desk.pub, to which exports are encrypted.
    """
    from sandbox.consignment.envelope import IntakeKey, draw_private

    private = draw_private()
    key, public = name.with_name(f"{name.name}.key"), name.with_name(f"{name.name}.pub")
    text = IntakeKey.of_private(private).text
    _write(key, f"x25519-private:{base64.b64encode(private).decode()}\n".encode(), 0o600)
    _write(public, f"{text}\n".encode(), 0o644)
    here = current()
    if here.as_json:
        here.emit({"private": str(key), "public": str(public), "key": text})
        return
    click.echo(f"{marks(sys.stdout).good} made       {key} (keep it), {public} (give it to the data steward)")


@subject.command()
@click.argument("name")
@click.option("--to", required=True, type=FILE, help="Party A's public key: desk.pub.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
def export(name: str, to: Path, output: Path) -> None:
    """\b
    sandbox subject export spk_7f3a --to desk.pub -o spk_7f3a.export

    Records by id and length, consents with their history, runs, decisions, models, releases and log entries, as
    custodian and gate sign them, encrypted to Party A. No recording, no transcript, and nobody else's pseudonym.
    """
    from sandbox.client.subject_letter import FORMAT, seal_letter
    from sandbox.consignment.envelope import IntakeKey

    key = IntakeKey.from_text(_text(to))
    here = current()
    with here.custodian() as custodian:
        held = custodian.post(f"/v1/subjects/{name}/report")["statement"]
    with here.gate() as gate:
        done = gate.post(f"/v1/subjects/{name}/report")["statement"]
    made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    content = {"format": FORMAT, "subject": name, "made_at": made, "custodian": held, "gate": done}
    letter = seal_letter({**content, "not_here": NOT_HERE}, name, key)
    _write(output, letter, 0o600)
    if here.as_json:
        here.emit({"subject": name, "to": key.keyid, "file": str(output), "bytes": len(letter)})
        return
    mark = marks(sys.stdout)
    click.echo(
        f"{mark.good} exported   {name} {mark.arrow} {output}, {len(letter)} bytes, for {key.keyid[:12]}… alone"
    )
    click.echo(f"  {NOT_HERE}")


@subject.command("open")
@click.argument("file", type=FILE)
@click.option("--key", required=True, type=FILE, help="Party A's private key: desk.key.")
@click.option("--trust", type=FILE, help="The installation's trust.json, as Party A keeps it.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
def open_(file: Path, key: Path, trust: Path | None, output: Path) -> None:
    """\b
    sandbox subject open spk_7f3a.export --key desk.key --trust trust.json -o spk_7f3a.json

    At Party A. Decrypts, verifies what custodian and gate signed, and writes it as JSON. Needs no service.
    """
    from sandbox.client.subject_letter import open_letter, verified
    from sandbox.runs import Trust

    here = current()
    where = trust or Address.of(here.state).trust
    try:
        anchors = Trust.from_bytes(where.read_bytes())
    except OSError:
        raise Unreachable(f"no trust anchors at {where}", mend="sandbox subject open --trust FILE") from None
    content = open_letter(file.read_bytes(), _private(key))
    found = verified(content, {"custodian": anchors.custodian, "gate": anchors.gate})
    _write(output, json.dumps(found, indent=1, ensure_ascii=False).encode() + b"\n", 0o600)
    counts = {name: len(found["gate"][name]) for name in ("runs", "decisions", "models", "releases", "log")}
    records = sum(len(one["records"]) for one in found["custodian"]["datasets"])
    counts = {"records": records, "consents": len(found["custodian"]["consents"]), **counts}
    if here.as_json:
        here.emit({"subject": found["subject"], "file": str(output), **counts})
        return
    said = ", ".join(f"{name} {count}" for name, count in counts.items())
    click.echo(
        f"{marks(sys.stdout).good} opened     {found['subject']}, signed by custodian and gate: {said}"
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        raise Usage(f"{path} is no readable public key file", code="key.unreadable") from None


def _private(path: Path) -> bytes:
    """Raises Usage when it is no such key, or when others than its owner could have read it."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Usage(f"{path} can be read by others", code="key.exposed", mend=f"chmod 600 {path}")
    from sandbox.consignment.envelope import KEY_BYTES

    scheme, _, value = _text(path).strip().partition(":")
    try:
        raw = base64.b64decode(value, validate=True) if scheme == "x25519-private" else b""
    except ValueError:
        raw = b""
    if len(raw) != KEY_BYTES:
        raise Usage(
            f"{path} is no private key for exports", code="key.invalid", mend="sandbox subject keygen NAME"
        )
    return raw


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
    except OSError as fault:
        raise Usage(
            f"{path}: {os.strerror(fault.errno or 0)}", code="file.unwritable", mend="choose another name"
        ) from None


command = subject
