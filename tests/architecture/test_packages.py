"""The listing tells the story: names of the field, small files, table-of-contents packages."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture.house import PACKAGE, ROOT

FILES = sorted(PACKAGE.rglob("*.py"))
PACKAGES = sorted(PACKAGE.rglob("__init__.py"))
TWO_SIDED = ["sealing", "vault"]
EMPTY_WORDS = {"utils", "util", "core", "common", "helpers", "helper", "manager", "misc", "base"}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_a_file_says_what_it_is_for(path: Path) -> None:
    doc = ast.get_docstring(ast.parse(path.read_text()))
    assert doc, f"{relative(path)} has no docstring"


@pytest.mark.parametrize("name", TWO_SIDED)
def test_a_two_sided_package_imports_nothing(name: str) -> None:
    tree = ast.parse((PACKAGE / name / "__init__.py").read_text())
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [
        ast.unparse(node) for node in found if ast.unparse(node) != "from __future__ import annotations"
    ] == []


@pytest.mark.parametrize("path", PACKAGES, ids=relative)
def test_a_package_is_a_table_of_contents(path: Path) -> None:
    """``__init__`` holds docstring, imports and ``__all__``; code has its own file."""
    allowed = ast.Expr | ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign
    odd = [type(node).__name__ for node in ast.parse(path.read_text()).body if not isinstance(node, allowed)]
    assert odd == []


def test_every_folder_with_code_is_a_package() -> None:
    assert {path.parent for path in FILES} == {path.parent for path in PACKAGES}


def test_names_are_words_of_the_field() -> None:
    assert [
        relative(path) for path in FILES if path.stem in EMPTY_WORDS or path.parent.name in EMPTY_WORDS
    ] == []


def test_files_hold_one_idea() -> None:
    lengths = {relative(path): len(path.read_text().splitlines()) for path in FILES}
    assert {name: lines for name, lines in lengths.items() if lines > 350} == {}
    assert sorted(lengths.values())[len(lengths) // 2] <= 200
