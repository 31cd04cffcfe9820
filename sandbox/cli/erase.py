"""`sandbox erase SUBJECT`: forget a person."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sandbox.cli.context import current
from sandbox.cli.show import marks


@click.command()
@click.argument("subject")
@click.option("--dataset", help="Only from this dataset; from all, unless given.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(subject: str, dataset: str | None, yes: bool) -> None:
    """\b
    sandbox erase spk_7f3a

    Destroys the person's key and proves it: what was sealed of them can never be opened again, by anybody. The signed
    certificate is written beside you. Snapshots of Vault taken before hold the key until they expire.
    """
    here = current()
    if not yes and not here.as_json:
        click.confirm(f"Destroy the key of {subject}? Nothing brings it back", abort=True, err=True)
    body = {"subject": subject} if dataset is None else {"subject": subject, "dataset": dataset}
    with here.custodian() as custodian:
        answer = custodian.post("/v1/erasures", body)
    if here.as_json:
        here.emit(answer)
        return
    mark = marks(sys.stdout)
    for done in answer["erasures"]:
        name = Path(f"erasure-{subject}-{done['dataset']}.dsse.json")
        name.write_text(done["certificate"])
        click.echo(
            f"{mark.good} destroyed  the key of {subject} in {done['dataset']}, {done['seconds']:.2f} s"
        )
        click.echo(f"{mark.good} proved     {len(done['wraps_proved'])} stored wraps fail: key not found")
        click.echo(f"  certificate {name} {mark.dot} {done['not_covered']}")


command = erase
