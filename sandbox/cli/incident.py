"""`sandbox incident list|kill|resume`: thin; the gate does it, in its order, and keeps the timeline."""

from __future__ import annotations

import sys

import click

from sandbox.cli.context import current
from sandbox.cli.show import grid, local_time, marks
from sandbox.errors import Usage


@click.group()
def incident() -> None:
    """\b
    sandbox incident list
    sandbox incident kill --scope agreement:dsa-2026-0001
    """


@incident.command("list")
def list_() -> None:
    """\b
    sandbox incident list

    What went wrong or was stopped, and when.
    """
    here = current()
    with here.gate() as gate:
        found = list(gate.pages("/v1/incidents"))
    if here.as_json:
        for entry in found:
            here.emit(entry)
        return
    rows = [
        (
            str(e.get("id", "")),
            str(e.get("kind", "")),
            str(e.get("run", "")),
            local_time(str(e.get("at", ""))),
        )
        for e in found
    ]
    grid(here.console, ("incident", "kind", "run", "opened"), rows)


@incident.command()
@click.option("--scope", required=True, help="run:ID, dataset:ID, agreement:ID or all.")
def kill(scope: str) -> None:
    """\b
    sandbox incident kill --scope agreement:dsa-2026-0001

    Nothing is admitted from here on; doors close, containers die, credentials are revoked and proved dead.
    """
    here = current()
    if sys.stdin.isatty() and click.prompt("Type the scope again to confirm", err=True) != scope:
        raise Usage("not confirmed; nothing was stopped", code="incident.not_confirmed")
    with here.gate() as gate:
        answer = gate.post("/v1/incidents", {"scope": scope})
    if here.as_json:
        here.emit(answer)
        return
    for step in answer.get("timeline", []):
        here.console.print(f"{step.get('ms', 0):>7} ms  {step.get('what', '')}", soft_wrap=True, markup=False)
    click.echo(f"{marks(sys.stdout).good} stopped    {scope}")
