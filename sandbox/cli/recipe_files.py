"""The exact bytes of a recipe's folder: what its digest is over, and what the gate is sent."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.errors import Usage

TOTAL_MAX = 4 << 20
_LEFT_OUT = ("__pycache__",)


def files(folder: Path) -> dict[str, bytes]:
    """Path below the folder -> bytes, regular files only. Raises Usage for links, odd files, or none at all."""
    if not (folder / "recipe.yaml").is_file():
        raise Usage(f"{folder} is no recipe: it has no recipe.yaml", code="recipe.none")
    found: dict[str, bytes] = {}
    for base, names, entries in os.walk(folder):
        names[:] = [name for name in names if name not in _LEFT_OUT]
        for name in sorted(entries):
            path = Path(base) / name
            if path.is_symlink() or not path.is_file():
                raise Usage(
                    f"{path} is not a regular file; a recipe holds nothing else", code="recipe.odd_file"
                )
            if not name.endswith(".pyc"):
                found[str(path.relative_to(folder))] = path.read_bytes()
    if sum(map(len, found.values())) > TOTAL_MAX:
        raise Usage(
            f"{folder} holds more than {TOTAL_MAX >> 20} MiB; a recipe is code, not data",
            code="recipe.too_large",
        )
    return found


def bundle(found: Mapping[str, bytes]) -> dict[str, Any]:
    """The files as JSON for ``POST /v1/recipes``."""
    return {"files": {path: base64.b64encode(body).decode() for path, body in sorted(found.items())}}


def find(name: str, start: Path, mend: str = "--recipes names its place") -> Path:
    """The folder ``recipes/NAME`` beside the run file or above it, or in the working directory.

    Raises Usage when there is none.
    """
    for base in (start.resolve().parent, *start.resolve().parents, Path.cwd()):
        if (base / "recipes" / name / "recipe.yaml").is_file():
            return base / "recipes" / name
    raise Usage(f"no recipes/{name} in {start.resolve().parent} or above it", code="recipe.none", mend=mend)
