"""A run as it happens: ticked lines and a bar on a terminal, plain lines in a pipe, one event a line as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from sandbox.cli.context import Context
from sandbox.cli.run_story import Story
from sandbox.cli.show import marks
from sandbox.client import Event, Service
from sandbox.errors import RunFailed

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def watch(here: Context, gate: Service, run: str) -> Story:
    """Follow ``run`` until it is settled. Returns its story; Ctrl-C comes through as KeyboardInterrupt."""
    story = Story(run, marks(sys.stdout))
    view = _Bar(here) if here.console.is_terminal and not here.as_json else None
    try:
        for event in until_settled(gate, story):
            lines = story.update(event)
            if here.as_json:
                _emit(event)
            else:
                _say(here, view, lines)
            if view:
                view.show(story)
    finally:
        if view:
            view.close()
    return story


def until_settled(gate: Service, story: Story) -> Iterator[Event]:
    """Events until the story is over; a stream that the gate ended early (its restart) is asked for again."""
    after = ""
    while True:
        for event in gate.events(f"/v1/runs/{story.run}/events", after=after):
            after = event.id or after
            yield event
            if story.over:
                return
        if story.over:
            return
        time.sleep(0.5)


def judge(story: Story) -> None:
    """Raises RunFailed unless the run finished."""
    if story.outcome != "finished":
        why = f": {story.failure}" if story.failure else ""
        raise RunFailed(
            f"run {story.run} {story.outcome or 'ended'}{why}",
            code=f"run.{story.outcome or 'failed'}",
            mend=f"sandbox runs show {story.run}; nothing is retried",
        )


def ask_what_to_do(here: Context, gate: Service, run: str) -> None:
    """Ctrl-C: stop the run or leave it; asked once, and never a half state. Raises Abort in the end (exit 130)."""
    answer = "leave"
    if sys.stdin.isatty() and not here.as_json:
        try:
            answer = click.prompt(
                f"\n{run} goes on at the gate. Stop it, or leave it running?",
                type=click.Choice(["stop", "leave"]),
                default="leave",
                err=True,
            )
        except click.exceptions.Abort:
            answer = "leave"
    if answer == "stop":
        gate.post(f"/v1/runs/{run}/kill", {"reason": "stopped by the person who asked for it"})
        click.echo(f"{run} is being stopped: sandbox runs show {run}", err=True)
    else:
        click.echo(f"{run} goes on: sandbox runs watch {run}", err=True)
    raise click.exceptions.Abort


def _emit(event: Event) -> None:
    click.echo(
        json.dumps({"event": event.kind, "id": event.id, **event.data}, ensure_ascii=False, sort_keys=True)
    )


def _say(here: Context, view: _Bar | None, lines: list[tuple[str, str, str]]) -> None:
    for mark, title, text in lines:
        if view:
            view.rest()
        colour = "green" if mark == marks(sys.stdout).good else "red"
        here.console.print(f"[{colour}]{mark}[/{colour}] {title:<10} {text}", soft_wrap=True)


class _Bar:
    """The training bar; there is none before the first progress, and none after the last."""

    def __init__(self, here: Context) -> None:
        self._here = here
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def show(self, story: Story) -> None:
        if not story.total or story.over:
            return
        if self._progress is None:
            from rich.progress import BarColumn, Progress, TextColumn

            columns = (TextColumn("  training  "), BarColumn(24), TextColumn("{task.fields[words]}"))
            self._progress = Progress(*columns, console=self._here.console, transient=True)
            self._task = self._progress.add_task("", total=story.total, words="")
            self._progress.start()
        if self._task is not None:
            self._progress.update(self._task, completed=story.step, total=story.total, words=story.progress())

    def rest(self) -> None:
        """The bar goes away before a line is printed, and comes back with the next progress."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = self._task = None

    close = rest
