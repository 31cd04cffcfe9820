"""`sandbox recipe dry-run`: the recipe on public speech, in the same container, outside any agreement."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import click

from sandbox.cli.context import Context
from sandbox.cli.recipe_files import bundle, files, find
from sandbox.cli.run_view import ask_what_to_do
from sandbox.cli.show import marks
from sandbox.errors import RunFailed


def follow(here: Context, name: str, speak: str | None, output: Path | None) -> None:
    """Ask for it, show every line it writes, and keep what was said where ``output`` says.

    Raises RunFailed when the recipe does.
    """
    folder = find(name, Path.cwd() / "run.yaml")
    body = {"recipe": name, **bundle(files(folder)), "speak": speak or ""}
    with here.gate() as gate:
        run = str(gate.post("/v1/dry-runs", body)["run"])
        outcome = ""
        try:
            for event in gate.events(f"/v1/runs/{run}/events"):
                if here.as_json:
                    here.emit({"event": event.kind, **event.data})
                elif event.kind == "text":
                    click.echo(str(event.data.get("line", "")))
                if event.kind == "state" and event.data.get("state") == "settled":
                    outcome = str(event.data.get("outcome", ""))
                if event.kind == "audio" and output:
                    output.write_bytes(base64.b64decode(str(event.data.get("wav", ""))))
        except KeyboardInterrupt:
            ask_what_to_do(here, gate, run)
    if outcome != "finished":
        raise RunFailed(f"dry run {run} {outcome or 'ended early'}", mend="the traceback stands above")
    click.echo(f"{marks(sys.stdout).good} dry run    {run}; no model was kept", err=True)
