"""`sandbox alert list|show|ack`: what the gate raised by itself, and who has seen it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from sandbox.cli.context import current
from sandbox.cli.show import grid, local_time, marks


@click.group()
def alert() -> None:
    """\b
    sandbox alert list
    sandbox alert ack al-7f3k9w
    """


@alert.command("list")
@click.option("--all", "everything", is_flag=True, help="Also what somebody has acknowledged.")
def list_(everything: bool) -> None:
    """\b
    sandbox alert list

    What was raised and nobody has acknowledged, oldest first.
    """
    here = current()
    with here.gate() as gate:
        found = list(gate.pages("/v1/alerts", {} if everything else {"open": "true"}))
    if here.as_json:
        for entry in found:
            here.emit(entry)
        return
    head = ("alert", "rule", "severity", "about", "incident", "raised")
    rows = [
        (
            str(e["id"]),
            str(e["rule"]),
            str(e["severity"]),
            _about(e["about"]),
            str(e["incident"] or ""),
            local_time(str(e["at"])),
        )
        for e in found
    ]
    grid(here.console, head, rows)


@alert.command()
@click.argument("alert_id")
def show(alert_id: str) -> None:
    """\b
    sandbox alert show al-7f3k9w

    Everything about one: ids and counts, never content.
    """
    here = current()
    with here.gate() as gate:
        entry = gate.get(f"/v1/alerts/{alert_id}")
    if here.as_json:
        here.emit(entry)
        return
    seen = f"{entry['acknowledged_by']}, {local_time(str(entry['acknowledged_at']))}"
    for name, value in (
        ("rule", f"{entry['rule']} ({entry['severity']})"),
        ("raised", local_time(str(entry["at"]))),
        *((str(key), str(value)) for key, value in entry["about"].items()),
        *((str(key), str(value)) for key, value in entry["detail"].items()),
        ("incident", str(entry["incident"] or "none")),
        ("seen by", seen if entry["acknowledged_by"] else "nobody yet"),
    ):
        here.console.print(f"{name:<14}{value}", soft_wrap=True, markup=False)


@alert.command()
@click.argument("alert_id")
def ack(alert_id: str) -> None:
    """\b
    sandbox alert ack al-7f3k9w

    You have seen it: it is told no further, and the log keeps who and when.
    """
    here = current()
    with here.gate() as gate:
        entry = gate.post(f"/v1/alerts/{alert_id}/ack", {})
    if here.as_json:
        here.emit(entry)
        return
    click.echo(
        f"{marks(sys.stdout).good} seen       {alert_id} {entry['rule']} by {entry['acknowledged_by']}"
    )


def _about(about: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in about.items())
