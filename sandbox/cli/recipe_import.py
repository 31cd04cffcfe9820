"""`sandbox recipe import-base`: a published model becomes a sealed base, in a container without data."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from sandbox.cli.context import Context, current
from sandbox.cli.mends import mend_of
from sandbox.cli.recipe_files import files, find
from sandbox.cli.run import submit_if_unknown
from sandbox.cli.run_view import ask_what_to_do, judge, watch
from sandbox.cli.show import marks
from sandbox.client import Service
from sandbox.errors import RunFailed, Usage
from sandbox.runs import CONFIG, FILE, Compute, Request, recipe_digest

MODELS = ("xtts", "yourtts", "vits", "fastpitch", "glowtts", "tacotron2", "hifigan")
RECIPE = "import-base"
PIECE = 1 << 20
ROOM = 4 << 30  # bytes of memory besides the copies of the file that keeper and trainer hold
COPIES = 8
MIB = 1 << 20
_WORD = r"[A-Za-z0-9][A-Za-z0-9.+-]*"
_SPDX = re.compile(rf"\(?{_WORD}( (AND|OR|WITH) \(?{_WORD}\)?)*\)?")
_SOURCE = re.compile(r"https://[\x21-\x7e]{3,180}")
PATH = click.Path(path_type=Path)


@click.command("import-base")
@click.argument("file", type=PATH)
@click.option("--model", type=click.Choice(MODELS), required=True, help="Which model the file holds.")
@click.option("--licence", required=True, help="SPDX: MPL-2.0; or LicenseRef-CPML for one without.")
@click.option("--source", required=True, help="Where it was published: https://…")
@click.option("--agreement", required=True, help="The agreement under which it is kept and used.")
@click.option("--config", type=PATH, help="The config.json that was published beside it.")
@click.option("--recipes", type=PATH, help="The folder that holds recipes (default: found here or above).")
def import_base(
    file: Path,
    model: str,
    licence: str,
    source: str,
    agreement: str,
    config: Path | None,
    recipes: Path | None,
) -> None:
    """\b
    sandbox recipe import-base model.pth --model yourtts --licence CC-BY-NC-ND-4.0 \\
        --source https://example.org/model.pth --agreement dsa-2026-0001

    Opens a published .pth in a container without data, keeps its tensors only, and seals them as a model that runs name
    as their input `base`. Nothing that the file names is called; a file that asks for it is refused.
    """
    here = current()
    if not _SPDX.fullmatch(licence):
        raise Usage(
            f"{licence!r} is no licence expression", code="base.licence", mend="SPDX, or LicenseRef-NAME"
        )
    if not _SOURCE.fullmatch(source):
        raise Usage(f"{source!r} is no address", code="base.source", mend="--source https://…")
    folder = recipes / RECIPE if recipes else find(RECIPE, Path.cwd() / "import")
    given = {FILE: file} | ({} if config is None else {CONFIG: config})
    named = {name: _digest(path) for name, path in given.items()}
    asked = Request(
        recipe=RECIPE,
        recipe_digest=recipe_digest(files(folder)),
        agreement=agreement,
        purpose="optimise",
        dataset=None,
        subjects=None,
        inputs={name: f"sha256:{digest}" for name, digest in named.items()},
        privacy=None,
        compute=Compute(memory_bytes=_memory_bytes(file.stat().st_size)),
        parameters={"model": model, "licence": licence, "source": source},
    )
    with here.gate() as gate:
        submit_if_unknown(gate, folder)
        for name, path in given.items():
            _send(here, gate, path, named[name])
        run = str(gate.post("/v1/runs", {"request": asked.to_json(), "dry_run": False})["run"])
        try:
            story = watch(here, gate, run)
        except KeyboardInterrupt:
            ask_what_to_do(here, gate, run)
            return
    if story.failure.startswith("base."):
        mend = mend_of(story.failure, run, asked.parameters)
        raise RunFailed(f"{file.name} became no base", code=story.failure, mend=mend)
    judge(story)


def _send(here: Context, gate: Service, path: Path, digest: str) -> None:
    """Announce the file, and send it where it does not lie there already."""
    size = path.stat().st_size
    if not gate.post("/v1/bases", {"sha256": digest, "size": size})["kept"]:
        for _ in gate.stream(f"/v1/bases/{digest}", _pieces(path), media_type="application/octet-stream"):
            pass
    if not here.as_json:
        here.console.print(
            f"{marks(here.console.file).good} {'sent':<10} {path.name} sha256:{digest}", soft_wrap=True
        )


def _memory_bytes(size: int) -> int:
    """What reading a file of ``size`` takes, in whole MiB: a limit that is no multiple of a page is not kept."""
    return ROOM + -(-COPIES * size // MIB) * MIB


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as fault:
        raise Usage(f"{path} cannot be read: {fault.strerror}") from None


def _pieces(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
