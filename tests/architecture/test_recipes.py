"""A recipe is a pure program: what it reads comes from ``run``, what it makes goes to ``run``. It opens nothing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture.house import ROOT

RECIPES = sorted((ROOT / "recipes").glob("*/recipe.py"))
HOSTILE = {"probe"}  # tries on purpose what the sandbox denies: its attempts are evidence
ALLOWED = {
    "__future__", "collections", "dataclasses", "functools", "itertools", "math", "random", "re", "statistics",
    "string", "typing", "numpy", "torch", "torchaudio", "TTS", "pocketsphinx", "sandbox",
}  # fmt: skip
FORBIDDEN_CALLS = {"open", "exec", "eval", "compile", "__import__", "input", "print", "breakpoint"}


def faults(source: str) -> list[str]:
    """Every import outside the allowed and every call that opens, runs or prints something, with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            ours = name.partition(".")[0] == "sandbox" and not name.startswith("sandbox.training")
            if ours or name.partition(".")[0] not in ALLOWED:
                found.append(f"line {node.lineno}: imports {name}")  # type: ignore[attr-defined]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            found.append(f"line {node.lineno}: calls {node.func.id}")
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and (node.value.id, node.attr) == ("torch", "load")
        ):
            found.append(f"line {node.lineno}: unpickles")
    return found


@pytest.mark.parametrize(
    "path", [path for path in RECIPES if path.parent.name not in HOSTILE], ids=lambda path: path.parent.name
)
def test_a_recipe_opens_no_file_and_no_socket(path: Path) -> None:
    assert faults(path.read_text()) == []


@pytest.mark.parametrize(
    "line",
    ["import socket", "import os", "from pathlib import Path", "import sandbox.vault.session", "open('x')", "exec('x')",
     "import torch\ntorch.load('x')", "from urllib import request", "import ctypes", "print('x')"],
)  # fmt: skip
def test_the_scan_finds(line: str) -> None:
    assert len(faults(line)) == 1


def test_there_is_a_recipe_for_each_step_of_the_story() -> None:
    assert {"digits", "digits-evaluate", "probe"} <= {path.parent.name for path in RECIPES}
