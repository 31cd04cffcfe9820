"""What the architecture tests read: the contracts of ``pyproject.toml`` and the files of the repository."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "sandbox"


def contract(name: str) -> dict[str, Any]:
    """The import contract with this id."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return next(entry for entry in settings["contracts"] if entry["id"] == name)


def module_path(module: str) -> str:
    """``sandbox.vault.session`` -> ``sandbox/vault/session.py``; a package -> its folder with a slash."""
    path = Path(*module.split("."))
    if (ROOT / path).is_dir():
        return f"{path}/"
    return f"{path}.py"


def modules_of(package: str) -> list[str]:
    """Every module under ``package`` (dotted), itself included."""
    path = ROOT / Path(*package.split("."))
    if not path.is_dir():
        return [package]
    found = (file.relative_to(ROOT).with_suffix("").parts for file in sorted(path.rglob("*.py")))
    return [".".join(parts[:-1] if parts[-1] == "__init__" else parts) for parts in found]


def tracked() -> list[Path]:
    """Files in the repository: committed, or new and not ignored."""
    asked = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(asked, capture_output=True, check=True, text=True).stdout.split("\0")
    return [ROOT / name for name in sorted(set(names)) if name and (ROOT / name).is_file()]
