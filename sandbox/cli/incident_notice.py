"""`sandbox incident notice`: the drafts that the gate made of an incident, and that one of them was sent."""

from __future__ import annotations

import sys

import click

from sandbox.cli.context import current
from sandbox.cli.show import local_time, marks


@click.command(short_help="The draft notices of an incident; --sent-at marks one as sent.")
@click.argument("incident_id")
@click.option("--to", "addressee", default="party_a", help="party_a, final_report or 'regulator: NAME'.")
@click.option("--sent-at", default="", help="When it was sent, with its offset: 2026-11-26T19:40:00+08:00")
def notice(incident_id: str, addressee: str, sent_at: str) -> None:
    """\b
    sandbox incident notice i-7f3k9w
    sandbox incident notice i-7f3k9w --sent-at 2026-11-26T19:40:00+08:00

    Drafts for Party A, for each regulator clock of the agreement, and of the final report. You send them; nothing
    leaves this machine by itself.
    """
    here = current()
    path = f"/v1/incidents/{incident_id}/notice"
    with here.gate() as gate:
        if sent_at:
            found = list(gate.post(path, {"sent_at": sent_at, "addressee": addressee})["items"])
        else:
            found = list(gate.pages(path))
    if here.as_json:
        for entry in found:
            here.emit(entry)
        return
    if sent_at:
        click.echo(
            f"{marks(sys.stdout).good} sent       {incident_id} to {addressee} at {local_time(sent_at)}"
        )
        return
    for number, entry in enumerate(found):
        if number:
            click.echo("-" * 72)
        click.echo(entry["text"], nl=False)
        click.echo(f"\nSent          {local_time(str(entry['sent_at'])) if entry['sent_at'] else 'not yet'}")
