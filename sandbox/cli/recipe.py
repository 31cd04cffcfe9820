"""`sandbox recipe new|submit|review|approve|list|import-base|…`: recipes run by digest, after two people looked."""

from __future__ import annotations

from pathlib import Path

import click

from sandbox.cli.context import current
from sandbox.cli.recipe_files import bundle, files
from sandbox.cli.recipe_import import import_base
from sandbox.cli.recipe_new import new
from sandbox.cli.recipe_review import review, revoke
from sandbox.cli.show import grid, marks
from sandbox.errors import Usage

PURPOSES = ("train", "optimise", "test", "evaluate", "serve_custom_tts")


@click.group()
def recipe() -> None:
    """\b
    sandbox recipe submit recipes/digits
    sandbox recipe review digits
    sandbox recipe approve digits sha256:4be1… --purpose train
    """


recipe.add_command(review)
recipe.add_command(revoke)
recipe.add_command(new)
recipe.add_command(import_base)


@recipe.command()
@click.argument("folder", type=click.Path(path_type=Path))
def submit(folder: Path) -> None:
    """\b
    sandbox recipe submit recipes/digits

    Sends the exact bytes of a recipe's folder to the gate; its digest is what runs name and reviewers approve.
    """
    from sandbox.runs import recipe_digest

    here = current()
    found = files(folder)
    digest = recipe_digest(found)
    with here.gate() as gate:
        answer = gate.post("/v1/recipes", bundle(found), idempotency_key=f"recipe-{digest}")
    if here.as_json:
        here.emit(answer)
    else:
        click.echo(
            f"{marks(here.console.file).good} submitted  {answer.get('name', folder.name)} sha256:{digest}"
        )


@recipe.command()
@click.argument("name")
@click.argument("digest")
@click.option(
    "--purpose",
    "purposes",
    type=click.Choice(PURPOSES),
    multiple=True,
    help="May be given again; else all of its card.",
)
def approve(name: str, digest: str, purposes: tuple[str, ...]) -> None:
    """\b
    sandbox recipe approve digits sha256:4be1… --purpose train --purpose evaluate

    As a reviewer: from now on runs may use this recipe with exactly these bytes, for these purposes. Two reviewers who
    neither submitted nor run it are needed.
    """
    here = current()
    digest = digest.removeprefix("sha256:")
    with here.gate() as gate:
        body = {"name": name, **({"purposes": list(purposes)} if purposes else {})}
        answer = gate.post(f"/v1/recipes/{digest}/approve", body)
    if here.as_json:
        here.emit(answer)
    else:
        granted = answer.get("approved_for", {}).values()
        said = sorted({one for found in granted for one in found} & set(purposes)) or [
            "every purpose of its card"
        ]
        click.echo(f"{marks(here.console.file).good} approved   {name} sha256:{digest} for {', '.join(said)}")


@recipe.command("list")
def list_() -> None:
    """\b
    sandbox recipe list

    Recipes that were submitted, and who approved which bytes.
    """
    here = current()
    with here.gate() as gate:
        found = list(gate.pages("/v1/recipes"))
    if here.as_json:
        for entry in found:
            here.emit(entry)
        return
    rows = [
        (
            str(entry.get("name", "")),
            str(entry.get("digest", ""))[:12],
            ", ".join(entry.get("approved_by") or ()) or "nobody",
            ", ".join(entry.get("revoked_by") or ()),
        )
        for entry in found
    ]
    grid(here.console, ("recipe", "digest", "approved by", "revoked by"), rows)


@recipe.command("dry-run")
@click.argument("name")
@click.option("--speak", help="Say this text with the model it made.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to write what was said.")
@click.option(
    "-p", "--parameter", "given", multiple=True, help="NAME=VALUE, as under `parameters` of a run file."
)
def dry_run(name: str, speak: str | None, output: Path | None, given: tuple[str, ...]) -> None:
    """\b
    sandbox recipe dry-run digits --speak seven -o seven.wav
    sandbox recipe dry-run digits -p steps=50

    Trains the recipe on public speech in the same container, outside any agreement, with all its logs shown.
    """
    if bool(speak) != bool(output):
        raise Usage("--speak and -o go together")
    from sandbox.cli.dry_run import follow

    parameters = dict(_pair(word) for word in given)
    follow(current(), name, speak, output, parameters)


def _pair(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not name or not equals:
        raise Usage(f"{word!r} is no NAME=VALUE", mend="-p steps=50")
    return name, value
