"""`sandbox data due|destroy`: what may not be kept any more, and its destruction, person by person."""

from __future__ import annotations

import sys
from typing import Any

import click

from sandbox.cli.context import current
from sandbox.cli.second_factor import code_option, fresh_code
from sandbox.cli.show import grid, local_time, marks
from sandbox.errors import Refused


@click.command()
def due() -> None:
    """\b
    sandbox data due

    Datasets past their retention: barred from that moment on, and to be destroyed or returned within the agreement's
    grace. The clock destroys nothing by itself.
    """
    here = current()
    with here.custodian() as custodian:
        found = list(custodian.pages("/v1/retention"))
    if here.as_json:
        for one in found:
            here.emit(one)
        return
    if not found:
        click.echo(f"{marks(sys.stdout).good} nothing is kept longer than was promised")
        return
    head = ("dataset", "ended", "because of", "people", "do", "until")
    grid(here.console, head, [_row(one) for one in found])


@click.command()
@click.argument("dataset")
@click.option("--witness", help="Another person who stands in the certificates as their witness.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@code_option
def destroy(dataset: str, witness: str | None, yes: bool, totp_stdin: bool) -> None:
    """\b
    sandbox data destroy studio-01

    Erases everybody of a dataset that is due, as `sandbox erase` does: keys destroyed and that proved, certificates
    written beside you. A dataset that may still be kept is refused. Interrupted, ask again.
    """
    from sandbox.cli import forgetting

    here = current()
    with here.custodian() as custodian:
        found = list(custodian.pages("/v1/retention"))
    one = next((one for one in found if one["dataset"] == dataset), None)
    if one is None:
        raise Refused(
            f"{dataset} may still be kept, or holds nobody",
            code="dataset.not_due",
            mend="sandbox data due; sandbox erase SUBJECT forgets one person at any time",
        )
    people = [str(name) for name in one["subjects"]]
    if not yes and not here.as_json:
        asked = f"Destroy the keys of all {len(people)} people of {dataset}? Nothing brings them back"
        click.confirm(asked, abort=True, err=True)
    forgetting.forget(here, people, dataset, witness, "", lambda: fresh_code(here, totp_stdin))


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    ended, until = local_time(str(one["ended"])), local_time(str(one["destroy_by"]))
    return (str(one["dataset"]), ended, str(one["why"]), str(len(one["subjects"])), str(one["what"]), until)
