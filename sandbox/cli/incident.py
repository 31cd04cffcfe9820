"""`sandbox incident list|show|kill|resume|drill`: thin; the gate does it, in its order, and keeps the timeline."""

from __future__ import annotations

import sys

import click

from sandbox.cli import incident_view
from sandbox.cli.context import current
from sandbox.cli.incident_drill import drill
from sandbox.cli.incident_notice import notice
from sandbox.cli.second_factor import code_option, fresh_code
from sandbox.cli.show import grid, local_time, marks
from sandbox.errors import Usage

SCOPES = (
    "all, agreement:ID, dataset:ID, subject:DATASET/SPK, subject:SPK, run:ID, person:NAME or recipe:DIGEST."
)


@click.group()
def incident() -> None:
    """\b
    sandbox incident list
    sandbox incident kill --scope agreement:dsa-2026-0001
    sandbox incident resume i-7k2m9p
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
            str(e.get("scope", "")),
            local_time(str(e.get("at", ""))),
            "" if e.get("closed_at") else "open",
        )
        for e in found
    ]
    grid(here.console, ("incident", "kind", "scope", "opened", ""), rows)


@incident.command()
@click.option("--scope", required=True, help=SCOPES)
@code_option
def kill(scope: str, totp_stdin: bool) -> None:
    """\b
    sandbox incident kill --scope agreement:dsa-2026-0001

    Nothing is admitted from here on; doors close, containers die, credentials are revoked and proved dead.
    """
    here = current()
    if sys.stdin.isatty() and click.prompt("Type the scope again to confirm", err=True) != scope:
        raise Usage("not confirmed; nothing was stopped", code="incident.not_confirmed")
    with here.gate() as gate:
        answer = gate.post("/v1/incidents", {"scope": scope}, code=fresh_code(here, totp_stdin))
    if here.as_json:
        here.emit(answer)
        return
    incident_view.timeline(here.console, answer.get("timeline", []))
    incident_view.outstanding(here.console, owed := answer.get("outstanding", []))
    mark = marks(sys.stdout)
    if owed:
        click.echo(
            f"{mark.warn} stopped    {scope}; {len(owed)} things are still owed: sandbox incident show {answer['id']}"
        )
    else:
        click.echo(f"{mark.good} stopped    {scope}")


@incident.command()
@click.argument("name", metavar="INCIDENT")
def show(name: str) -> None:
    """\b
    sandbox incident show i-7k2m9p

    What it stopped, when each step was done, what it reached, and what is still owed.
    """
    here = current()
    with here.gate() as gate:
        found = gate.get(f"/v1/incidents/{name}")
    if here.as_json:
        here.emit(found)
    else:
        incident_view.show(here.console, found)


@incident.command()
@click.argument("name", metavar="INCIDENT")
@code_option
def resume(name: str, totp_stdin: bool) -> None:
    """\b
    sandbox incident resume i-7k2m9p

    Close it: its scope admits again, its models may be used. What was stopped whole is resumed by somebody else.
    """
    here = current()
    with here.gate() as gate:
        answer = gate.post(f"/v1/incidents/{name}/resume", code=fresh_code(here, totp_stdin))
    if here.as_json:
        here.emit(answer)
        return
    more = "; the gate logs in anew" if answer.get("logs_in_anew") else ""
    click.echo(f"{marks(sys.stdout).good} resumed    {name}{more}")


incident.add_command(drill)
incident.add_command(notice)
