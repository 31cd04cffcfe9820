"""`sandbox down`."""

from __future__ import annotations

import sys

import click

from sandbox.cli.context import current
from sandbox.cli.show import marks


@click.command()
@click.option(
    "--purge",
    is_flag=True,
    help="Also remove the state: keys, sealed data, evidence. Nothing brings it back.",
)
@click.option("--yes", is_flag=True, help="With --purge: do not ask.")
def down(purge: bool, yes: bool) -> None:
    """\b
    sandbox down

    Stops MLflow's pages, gate, custodian, launcher and Vault, in this order. Runs under way end
    as failed.
    """
    from sandbox.deployment.down import down as take_down

    here = current()
    if purge and not yes:
        click.echo(
            f"This removes {here.state} with every key in it: what was sealed can never be opened again.",
            err=True,
        )
        typed = click.prompt("Type the path to confirm", err=True)
        if typed != str(here.state):
            raise click.UsageError("not confirmed; nothing was removed")
    ran = take_down(here.places, purge=purge)
    if here.as_json:
        here.emit({"stopped": ran, "purged": purge})
        return
    done = " and ".join([*(["stopped"] if ran else []), *(["removed"] if purge else [])])
    click.echo(f"{marks(sys.stdout).good} {done or 'nothing ran'}: {here.state}")
