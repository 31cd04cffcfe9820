"""`sandbox recipe new`: a recipe of one's own from one that is there."""

from __future__ import annotations

import re
from pathlib import Path

import click

from sandbox.cli.context import current
from sandbox.cli.recipe_files import files, find
from sandbox.cli.show import marks
from sandbox.errors import Usage

CARD = "recipe.yaml"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,47}")
_LINE = re.compile(r"^name: .*$", flags=re.MULTILINE)


@click.command("new")
@click.argument("name")
@click.option("--from", "origin", default="fastpitch", show_default=True, help="The recipe to begin with.")
def new(name: str, origin: str) -> None:
    """\b
    sandbox recipe new mine --from fastpitch

    Copies a recipe under a name of your own, into recipes/ beside it. Change it, then dry-run and submit it.
    """
    here = current()
    folder = make(
        name, find(origin, Path.cwd() / origin, mend="go to the folder that holds recipes/, and ask again")
    )
    if here.as_json:
        here.emit({"recipe": name, "from": origin, "folder": str(folder)})
        return
    click.echo(f"{marks(here.console.file).good} made       {folder}")
    click.echo(f"  next: sandbox recipe dry-run {name} -p steps=20")


def make(name: str, template: Path) -> Path:
    """The folder ``NAME`` beside ``template`` with its files and its own name on the card.

    Raises Usage when the name is none, or is taken.
    """
    if not _NAME.fullmatch(name):
        raise Usage("a recipe's name is lower case letters, digits and hyphens", code="recipe.name")
    folder = template.parent / name
    found = files(template)
    try:
        folder.mkdir()
    except FileExistsError:
        raise Usage(f"{folder} is there already", code="recipe.taken", mend="choose another name") from None
    for path, body in found.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_renamed(body, name) if path == CARD else body)
    return folder


def _renamed(card: bytes, name: str) -> bytes:
    return _LINE.sub(f"name: {name}", card.decode(), count=1).encode()
