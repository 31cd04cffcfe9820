"""`sandbox run FILE`: asks the gate for a run and shows it live."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import click

from sandbox.cli.context import Context, current
from sandbox.cli.recipe_files import bundle, files, find
from sandbox.cli.run_view import ask_what_to_do, judge, watch
from sandbox.cli.show import marks
from sandbox.client import Public, Service
from sandbox.errors import NotFound, Unreachable, Usage
from sandbox.runs import Request, recipe_digest


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--recipes",
    type=click.Path(path_type=Path),
    help="The folder that holds recipes (default: found beside FILE).",
)
@click.option(
    "--follow/--detach", default=True, help="Watch it (the default), or return as soon as it is admitted."
)
@click.option(
    "--dry-run", is_flag=True, help="Only the decision, with every reason; nothing is reserved or started."
)
def run(file: Path, recipes: Path | None, follow: bool, dry_run: bool) -> None:
    """\b
    sandbox run configs/runs/digits.yaml
    sandbox run configs/runs/clone.yaml --dry-run

    Exit code 0: finished; 3: refused, with every reason; 4: the run failed. Ctrl-C asks whether to stop it.
    """
    here = current()
    asked, folder = read(file, recipes)
    with here.gate() as gate:
        submit_if_unknown(gate, folder)
        answer = gate.post("/v1/runs", {"request": asked.to_json(), "dry_run": dry_run})
        if dry_run:
            _decision(here, answer)
            return
        name = str(answer["run"])
        if not follow:
            _detached(here, answer)
            return
        try:
            story = watch(here, gate, name)
        except KeyboardInterrupt:
            ask_what_to_do(here, gate, name)
            return
        if not here.as_json:
            _addresses(here, name, story.outcome)
        judge(story)


def read(file: Path, recipes: Path | None) -> tuple[Request, Path]:
    """The request of a run file, with its recipe's digest, and the recipe's folder.

    Raises Usage with every fault of the file and its line, or when the recipe's folder is not found.
    """
    from sandbox.policy.request import read_request, recipe_named

    try:
        data = file.read_bytes()
    except OSError as fault:
        raise Usage(f"{file} cannot be read: {fault.strerror}") from None
    name = recipe_named(data, str(file))
    folder = recipes / name if recipes else find(name, file)
    return read_request(data, str(file), recipe_digest(files(folder))), folder


def submit_if_unknown(gate: Service, folder: Path) -> None:
    """Hand the gate the recipe's exact bytes; it knows them by digest, so a second time costs nothing."""
    found = files(folder)
    digest = recipe_digest(found)
    try:
        gate.get(f"/v1/recipes/{digest}")
    except NotFound:
        gate.post("/v1/recipes", bundle(found), idempotency_key=f"recipe-{digest}")


def _decision(here: Context, answer: dict[str, Any]) -> None:
    if here.as_json:
        here.emit(answer)
    else:
        click.echo(
            f"{marks(sys.stdout).good} would be admitted   decision {answer.get('decision', '')}; nothing was started"
        )


def _detached(here: Context, answer: dict[str, Any]) -> None:
    if here.as_json:
        here.emit(answer)
    else:
        click.echo(
            f"{marks(sys.stdout).good} admitted   run {answer['run']}   sandbox runs watch {answer['run']}"
        )


def _addresses(here: Context, name: str, outcome: str) -> None:
    with contextlib.suppress(Unreachable):
        if outcome == "finished" and (web := Public.read(here.state).web):
            here.console.print(
                f"  MLflow     {web}/mlflow/      lineage  {web}/lineage/{name}", soft_wrap=True
            )
