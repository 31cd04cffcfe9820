"""Small JSON files that are always whole: written beside, then renamed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, value: object, mode: int = 0o644) -> None:
    """Replace ``path`` by ``value``; a reader sees the old bytes or the new ones, never half of them."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "w") as file:
        os.fchmod(file.fileno(), mode)
        json.dump(value, file, indent=1, sort_keys=True)
        file.write("\n")
    beside.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """The object in ``path``; empty when there is none or it cannot be read."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
