"""`sandbox data intake-key|receive`: the custodian's side of a delivery."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from sandbox.cli.context import current
from sandbox.cli.data_view import count_of
from sandbox.cli.show import marks, size
from sandbox.errors import RunFailed, Usage


@click.command("intake-key")
def intake_key() -> None:
    """\b
    sandbox data intake-key > custodian.keys

    The public keys that Party A packs to and checks receipts by. Hand them over by a way that nobody else can write.
    """
    here = current()
    with here.custodian() as custodian:
        found = custodian.get("/v1/intake-key")
    if here.as_json:
        here.emit(found)
        return
    for line in (found["intake"], *found["signing"]):
        click.echo(line)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("-o", "--receipt", type=click.Path(path_type=Path, dir_okay=False), help="FILE.receipt.json")
def receive(file: Path, receipt: Path | None) -> None:
    """\b
    sandbox data receive studio-01.consignment

    Every byte is compared with what Party A signed; nothing is opened. The signed receipt is for Party A. Sending the
    same consignment again does no harm.
    """
    here, last = current(), dict[str, Any]()
    target = receipt or file.with_name(f"{file.name}.receipt.json")
    with here.custodian() as custodian:
        for line in custodian.stream("/v1/consignments", _pieces(file)):
            last = line
    if last.get("event") != "received":
        raise RunFailed(
            "the custodian stopped before the end", code="receive.cut_short", mend="send it again"
        )
    signed = str(last.pop("receipt"))
    try:
        target.write_text(signed, encoding="utf-8")
    except OSError as fault:
        raise Usage(f"{target}: {os.strerror(fault.errno or 0)}", code="file.unwritable") from None
    if here.as_json:
        here.emit(last)
        return
    mark, say = marks(here.console.file), here.console.print
    say(
        f"{mark.good} received   {last['consignment']}, number {last['number']}: {count_of(last['files'], 'file')} "
        f"{mark.dot} {size(last['size'])} {mark.dot} {count_of(last['findings'], 'finding')}",
        soft_wrap=True,
    )
    say(f"  state      {last['state']}: nothing of it is open")
    say(f"  receipt    {target}", markup=False, soft_wrap=True)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece
