"""A run as it happens: ticks and one live line on a terminal, plain lines in a pipe, one event a line as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from sandbox.cli.context import Context
from sandbox.cli.run_line import barred
from sandbox.cli.run_story import Story
from sandbox.cli.show import marks
from sandbox.client import Event, Service
from sandbox.errors import RunFailed

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live as Screen

PLAIN = 100  # columns of the words of a line in a pipe
REFRESHED = 4  # times a second: more would flicker over a slow connection


def watch(here: Context, gate: Service, run: str) -> Story:
    """Follow ``run`` until it is settled. Returns its story; Ctrl-C comes through as KeyboardInterrupt."""
    story = Story(run, marks(sys.stdout))
    with live(here) as view:
        for event in until_settled(gate, story):
            lines = story.update(event)
            if here.as_json:
                _emit(event)
                continue
            if view and story.over:
                view.close()
            _say(here, lines if view else [*lines, *story.tenth(PLAIN)])
            if view:
                view.show(story)
    return story


@contextmanager
def live(here: Context) -> Iterator[Live | None]:
    """The live line of a terminal; None in a pipe, and where JSON is asked for. Closed in the end."""
    view = Live(here.console) if here.console.is_terminal and not here.as_json else None
    try:
        yield view
    finally:
        if view:
            view.close()


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
    """Ctrl-C: stop the run, kill it or leave it; asked once, never a half state. Raises Abort in the end (exit 130)."""
    answer = "leave"
    if sys.stdin.isatty() and not here.as_json:
        try:
            answer = click.prompt(
                f"\n{run} goes on at the gate. Stop it in order, kill it, or leave it running?",
                type=click.Choice(["stop", "kill", "leave"]),
                default="leave",
                err=True,
            )
        except click.exceptions.Abort:
            answer = "leave"
    if answer == "stop":
        gate.post(f"/v1/runs/{run}/stop")
        click.echo(f"{run} ends in order: sandbox runs watch {run}, then sandbox runs resume {run}", err=True)
    elif answer == "kill":
        gate.post(f"/v1/runs/{run}/kill", {"reason": "killed by the person who asked for it"})
        click.echo(f"{run} is killed: sandbox runs show {run}", err=True)
    else:
        click.echo(f"{run} goes on: sandbox runs watch {run}", err=True)
    raise click.exceptions.Abort


def _emit(event: Event) -> None:
    click.echo(
        json.dumps({"event": event.kind, "id": event.id, **event.data}, ensure_ascii=False, sort_keys=True)
    )


def _say(here: Context, lines: list[tuple[str, str, str]]) -> None:
    signs = marks(sys.stdout)
    for mark, title, text in lines:
        colour = {signs.good: "green", signs.dot: "dim"}.get(mark, "red")
        here.console.print(f"[{colour}]{mark}[/{colour}] {title:<10} {text}", soft_wrap=True)


class Live:
    """The line of a training, drawn anew in its place; lines that are said meanwhile go above it.

    There is none before the first progress, and none is left behind.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Screen | None = None
        self._shown = ""

    def show(self, story: Story) -> None:
        if not story.standing.total or story.over:
            return
        from rich.live import Live as Screen  # a third of a second that a pipe does not wait for
        from rich.text import Text

        shown = barred(
            story.standing, self._console.width - 1, story.marks
        )  # the last column would wrap in some
        if self._live is None:
            self._live = Screen(console=self._console, transient=True, refresh_per_second=REFRESHED)
            self._live.start()
        if shown != self._shown:
            self._shown = shown
            self._live.update(Text(shown, no_wrap=True, overflow="crop"))

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
