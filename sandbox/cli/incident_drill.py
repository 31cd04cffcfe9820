"""`sandbox incident drill`: begin it, wait for it, show what it measured. Exit code 4 when a promise was missed."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import click

from sandbox.cli.context import current
from sandbox.cli.show import grid, marks
from sandbox.errors import RunFailed

LOOK_S = 0.5
LIMIT_S = 1800.0


@click.command()
@click.option(
    "--runs", default=20, show_default=True, type=click.IntRange(1, 50), help="Live containers to kill."
)
def drill(runs: int) -> None:
    """\b
    sandbox incident drill --runs 20

    Start containers that only wait, kill them as in an incident, and measure it. Real runs are not touched; while it
    goes on this machine is busy.
    """
    here = current()
    with here.gate() as gate:
        found = gate.post("/v1/drills", {"runs": runs})
        deadline, told = time.monotonic() + LIMIT_S, -1
        while found["state"] not in ("done", "failed"):
            if found["ready"] != told and not here.as_json and sys.stderr.isatty():
                told = found["ready"]
                click.echo(f"  {told} of {runs} containers wait", err=True)
            if time.monotonic() > deadline:
                raise RunFailed("the drill does not end", code="drill.late")
            time.sleep(LOOK_S)
            found = gate.get(f"/v1/drills/{found['id']}")
    if found["state"] == "failed":
        raise RunFailed(f"the drill broke off: {found['fault']}", code="drill.failed")
    report = found["report"]
    if here.as_json:
        here.emit(report)
    else:
        _show(report)
    if not report["holds"]:
        raise RunFailed("; ".join(report["faults"]), code="drill.missed")


def _show(report: Mapping[str, Any]) -> None:
    here, mark, times = current(), marks(sys.stdout), report["times_ms"]
    rows = [
        (what, *(str(times[name][key]) for key in ("count", "p50", "p99", "max")))
        for what, name in (("containers dead", "containers_dead"), ("credentials dead", "credentials_dead"))
    ]
    grid(here.console, ("ms since the kill", "", "p50", "p99", "max"), rows)
    click.echo(
        f"  containers removed after {times['containers_removed']} ms, all settled after {times['settled']} ms"
    )
    shown = report["replayed"]
    click.echo(
        f"  old credentials shown again: {shown['dead']} of {shown['accessors']} unknown to Vault, "
        f"{shown['denied']} of {shown['wraps']} wraps refused"
    )
    click.echo(
        f"{mark.good if report['holds'] else mark.bad} drill      {report['runs']} runs, {report['incident']}"
    )
