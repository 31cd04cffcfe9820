"""`sandbox data budgets`: what each person has lost of their privacy, by PLD, and by RDP as an upper bound."""

from __future__ import annotations

import sys
from typing import Any

import click

from sandbox.cli.context import current
from sandbox.cli.show import grid, marks

HEAD = (
    "dataset",
    "person",
    "epsilon (PLD)",
    "at most (RDP)",
    "cap",
    "left",
    "delta",
    "private runs",
    "no bound since",
)


@click.command()
@click.argument("dataset", required=False)
def budgets(dataset: str | None) -> None:
    """\b
    sandbox data budgets studio-01

    What each person has lost of their privacy over all runs, of one dataset or of all. PLD is what is held against the
    agreement's cap; RDP bounds it from above. Who was in a run without DP has no bound since that run.
    """
    here = current()
    with here.gate() as gate:
        found = [one for one in gate.pages("/v1/budgets") if dataset in (None, one["dataset"])]
    if here.as_json:
        for one in found:
            here.emit(one)
        return
    if not found:
        click.echo(f"{marks(sys.stdout).good} no run has heard anybody yet")
        return
    grid(here.console, HEAD, [_row(one) for one in found])


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    spent, cap = one.get("epsilon"), one.get("cap")
    left = None if spent is None or cap is None else max(0.0, cap - spent)
    private = "" if spent is None else str(one["runs"])
    figures = (spent, one.get("rdp"), cap, left)
    return (
        str(one["dataset"]),
        str(one["subject"]),
        *("" if value is None else f"{value:.3g}" for value in figures),
        "" if spent is None else f"{one['delta']:g}",
        private,
        str(one["no_bound_since"] or ""),
    )
