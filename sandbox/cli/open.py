"""`sandbox open`: a one-time link to the pages, good for a minute, under the roles of whoever is logged in."""

from __future__ import annotations

import click

from sandbox.cli.context import current


@click.command("open")
def open_() -> None:
    """\b
    sandbox open

    Prints a link that works once within 60 s: MLflow, lineage, audit, as far as your roles go.
    """
    here = current()
    with here.gate() as gate:
        link = gate.post("/v1/browser-sessions")
    if here.as_json:
        here.emit(link)
    else:
        click.echo(link.get("url", ""))
