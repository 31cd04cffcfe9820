"""`sandbox runs list|show|watch|compare|again|stop|resume|kill`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from sandbox.cli.context import Context, current
from sandbox.cli.mends import mend_of
from sandbox.cli.run_view import ask_what_to_do, judge
from sandbox.cli.run_view import watch as watch_run
from sandbox.cli.runs_compare import compare, fits, spark
from sandbox.cli.show import grid, local_time, marks
from sandbox.client import Service


@click.group()
def runs() -> None:
    """\b
    sandbox runs list
    sandbox runs watch r-7f3k9w
    """


@runs.command("list")
@click.option("--live", is_flag=True, help="Only what is not settled.")
def list_(live: bool) -> None:
    """\b
    sandbox runs list --live

    Runs with who asked, for what, and how they ended.
    """
    here = current()
    with here.gate() as gate:
        found = [
            run
            for run in gate.pages("/v1/runs")
            if not live or run.get("state") not in ("settled", "refused")
        ]
    if here.as_json:
        for run in found:
            here.emit(run)
        return
    rows = [
        (
            str(run.get("id") or run.get("run") or ""),
            str(run.get("recipe", "")),
            str(run.get("purpose", "")),
            str(run.get("person", "")),
            str(run.get("outcome") or run.get("state") or ""),
            local_time(str(run.get("asked_at") or run.get("at") or "")),
        )
        for run in found
    ]
    grid(here.console, ("run", "recipe", "purpose", "person", "state", "asked"), rows)


@runs.command()
@click.argument("name")
def show(name: str) -> None:
    """\b
    sandbox runs show r-7f3k9w

    All that is known of one: its grant, credentials, metrics, artifacts.
    """
    here = current()
    with here.gate() as gate:
        found = gate.get(f"/v1/runs/{name}")
    if here.as_json:
        here.emit(found)
        return
    facts = [
        ("state", str(found.get("outcome") or found["state"])),
        *((key, str(found[key])) for key in FACTS if found.get(key)),
        *_advice(name, found),
        ("people", " ".join(found["plan"]["subjects"]) or "those of its inputs"),
        ("epsilon", "no DP" if found.get("epsilon") is None else f"{found['epsilon']:.4g} a person"),
        *((f"metric {name}", _points(points, fits(here))) for name, points in found["metrics"].items()),
    ]
    grid(here.console, ("run", name), facts)
    for title, rows, columns in (
        ("artifact", "artifacts", ARTIFACT),
        ("credential", "credentials", CREDENTIAL),
    ):
        if found[rows]:
            here.console.print("")
            lines = [tuple(_cell(row.get(column)) for column in columns) for row in found[rows]]
            grid(here.console, (title, *columns[1:]), lines)


FACTS = ("failure", "recipe", "purpose", "person", "agreement", "dataset", "grant", "decision", "model", "asked_at",
         "changed_at", "statement")  # fmt: skip


def _advice(name: str, found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What would mend a failure, where that is known."""
    mend = mend_of(str(found.get("failure") or ""), name, found["plan"]["parameters"])
    return [("mend", mend)] if mend else []


ARTIFACT = ("path", "step", "size", "state", "sha256")
CREDENTIAL = ("kind", "path", "dead_at")


def _points(points: list[dict[str, float]], curved: bool) -> str:
    last = points[-1]
    curve = f"   {spark(points)}" if curved and len(points) > 1 else ""
    return f"{last['value']:g} at step {last['step']} ({len(points)} points){curve}"


def _cell(value: object) -> str:
    if isinstance(value, str) and len(value) == 64:
        return f"{value[:12]}…"
    return "not yet" if value is None else local_time(str(value))


@runs.command()
@click.argument("name")
def watch(name: str) -> None:
    """\b
    sandbox runs watch r-7f3k9w

    Follows one until it is settled; Ctrl-C asks whether to stop it.
    """
    here = current()
    with here.gate() as gate:
        _follow(here, gate, name)


@runs.command()
@click.argument("name")
@click.option(
    "--follow/--detach", default=True, help="Watch it (the default), or return once it is admitted."
)
@click.option(
    "--without", multiple=True, metavar="SUBJECT", help="Leave this person out, too. May be repeated."
)
def again(name: str, follow: bool, without: tuple[str, ...]) -> None:
    """\b
    sandbox runs again r-7f3k9w

    Asks anew for a run of yours that was stopped because a voice was withdrawn, for those who are left; where the
    agreement says `on_withdrawal: replan`. Decided upon like every run; the stopped one keeps its privacy charge.
    """
    here = current()
    with here.gate() as gate:
        _asked_anew(
            here, gate, str(gate.post(f"/v1/runs/{name}/again", {"without": list(without)})["run"]), follow
        )


@runs.command()
@click.argument("name")
def stop(name: str) -> None:
    """\b
    sandbox runs stop r-7f3k9w

    Asks it to end in order: the recipe finishes its step and saves a checkpoint where its card has one, and the run
    finishes with what it made. `sandbox runs resume` goes on from there; `kill` ends it at once and keeps nothing.
    """
    here = current()
    with here.gate() as gate:
        answer = gate.post(f"/v1/runs/{name}/stop")
    if here.as_json:
        here.emit(answer)
    else:
        click.echo(f"{marks(sys.stdout).good} stopping   {name}   sandbox runs watch {name}")


@runs.command()
@click.argument("name")
@click.option(
    "--follow/--detach", default=True, help="Watch it (the default), or return once it is admitted."
)
def resume(name: str, follow: bool) -> None:
    """\b
    sandbox runs resume r-7f3k9w

    Asks for a new run that goes on from the last sealed checkpoint of one of yours, for the same people. It ends with
    the parameters of a run that was never stopped. Decided upon like every run.
    """
    here = current()
    with here.gate() as gate:
        _asked_anew(here, gate, str(gate.post(f"/v1/runs/{name}/resume")["run"]), follow)


def _asked_anew(here: Context, gate: Service, run: str, follow: bool) -> None:
    if follow:
        _follow(here, gate, run)
    elif here.as_json:
        here.emit({"run": run})
    else:
        click.echo(f"{marks(sys.stdout).good} admitted   run {run}   sandbox runs watch {run}")


def _follow(here: Context, gate: Service, run: str) -> None:
    """To its end, which is judged; Ctrl-C asks whether to stop it."""
    try:
        story = watch_run(here, gate, run)
    except KeyboardInterrupt:
        ask_what_to_do(here, gate, run)
        return
    judge(story)


@runs.command()
@click.argument("name")
@click.option("--reason", default="", help="Stands in the log.")
def kill(name: str, reason: str) -> None:
    """\b
    sandbox runs kill r-7f3k9w --reason "wrong data set"

    Stops the container, closes its doors, revokes its credential and proves it dead. Never retries.
    """
    here = current()
    with here.gate() as gate:
        answer = gate.post(f"/v1/runs/{name}/kill", {"reason": reason})
    if here.as_json:
        here.emit(answer)
    else:
        click.echo(f"{marks(sys.stdout).good} killed     {name}   sandbox runs show {name}")


runs.add_command(compare)
