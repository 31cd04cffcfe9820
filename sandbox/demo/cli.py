"""``sandbox demo``: the whole story on real parts, ending with a report that can fail."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import click
from rich.console import Console

from sandbox.demo import report as reporting
from sandbox.demo.house import House
from sandbox.demo.report import Report
from sandbox.demo.story import CHAPTERS, Stage
from sandbox.errors import SandboxError

STATE = Path("/var/lib/voice-sandbox-demo")


@click.command()
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    default=Path("build/demo"),
    help="Where the parties keep their things.",
)
@click.option(
    "--down/--stay",
    default=False,
    help="Take the house down at the end, or leave it to look at (the default).",
)
def demo(work: Path, down: bool) -> int:
    """\b
    sandbox demo
    sandbox --state /srv/try demo --down

    Nine chapters, from a signed agreement to a sealed, tagged model and what must fail. Exit code 0: every line holds.
    The same as data: build/demo.json.
    """
    from sandbox.cli.context import current

    here = current()
    console = Console(highlight=False)
    state = here.state if click.get_current_context().find_root().params.get("state") else _state()
    report, started = Report(), time.monotonic()
    stage = Stage(House(state, work.resolve(), console), Path.cwd(), work.resolve(), report)
    _fresh(stage)
    try:
        for number, (title, chapter) in enumerate(CHAPTERS, 1):
            console.rule(f"{number}  {title}", align="left")
            console.print((chapter.__doc__ or "").strip(), style="italic")
            chapter(stage)
    except SandboxError as fault:
        console.print(f"✘ {fault.message}", markup=False)
    report.seconds = time.monotonic() - started
    reporting.write(report, work.parent / "demo.json")
    reporting.show(report, console)
    if down:
        stage.house.say("operator", "down")
    return 1 if report.shortfalls() else 0


def _state() -> Path:
    """A state directory of the demonstration's own, so that it never touches a real installation."""
    if os.getuid() == 0:
        return STATE
    return Path(os.environ.get("XDG_STATE_HOME", Path.home() / ".local/state")) / "vs-demo"


def _fresh(stage: Stage) -> None:
    """Start from nothing: an earlier demonstration is taken down and forgotten."""
    if stage.house.state.exists():
        stage.house.say("operator", "down", "--purge", "--yes")
    shutil.rmtree(stage.work, ignore_errors=True)
    stage.work.mkdir(mode=0o700, parents=True)
