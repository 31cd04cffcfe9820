"""One check taken out of the product for a moment, by an edit of its source.

An edit names a function and the exact text that goes. The module's source is compiled with that text replaced, and the
function gets the code that came out, so whoever imported it by name sees the change too. A text that is no longer
there, or stands there twice, is an error: the table must follow the code.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import CodeType, FunctionType
from typing import Any


class StaleEdit(AssertionError):
    """The code has changed, and an edit of the table no longer finds its text. Mend the table."""


@dataclass(frozen=True)
class Edit:
    """In function ``place`` (``module:qualified.name``), ``held`` stands exactly once and becomes ``instead``."""

    place: str
    held: str
    instead: str = "if False:"


@dataclass(frozen=True)
class Check:
    """One check of the product, by its name, and what removes it."""

    name: str
    edits: tuple[Edit, ...]


def check(name: str, place: str, held: str, instead: str = "if False:") -> Check:
    """A check that one edit removes."""
    return Check(name, (Edit(f"sandbox.{place}", held, instead),))


@contextmanager
def removed(gone: Check) -> Iterator[None]:
    """The product without one check.

    Raises:
        StaleEdit: an edit's text is not in its function, or stands there more than once.
    """
    changed = [(_function(edit.place), _edited(edit)) for edit in gone.edits]
    before = [(function, function.__code__) for function, _ in changed]
    try:
        for function, code in changed:
            function.__code__ = code
        yield
    finally:
        for function, code in before:
            function.__code__ = code


def _function(place: str) -> FunctionType:
    module, _, name = place.partition(":")
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    found = getattr(found, "__func__", found)  # a class method
    if not isinstance(found, FunctionType):
        raise StaleEdit(f"there is no function {place}")
    return found


@cache
def _edited(edit: Edit) -> CodeType:
    module, _, name = edit.place.partition(":")
    source = inspect.getsource(import_module(module))
    lines = source.splitlines(keepends=True)
    first, last = _lines(ast.parse(source), name.split("."))
    body = "".join(lines[first - 1 : last])
    if body.count(edit.held) != 1:
        raise StaleEdit(f"{edit.place} holds {body.count(edit.held)} times: {edit.held}")
    lines[first - 1 : last] = [body.replace(edit.held, edit.instead)]
    compiled = compile("".join(lines), f"<{edit.place} without a check>", "exec", dont_inherit=True)
    return next(code for code in _codes(compiled) if code.co_qualname == name)


def _lines(tree: ast.AST, path: list[str]) -> tuple[int, int]:
    """First and last line of a function, counted from 1."""
    place = tree
    for part in path:
        inner = [node for node in ast.iter_child_nodes(place) if getattr(node, "name", None) == part]
        place = inner[-1]
    assert isinstance(place, ast.FunctionDef) and place.end_lineno
    return place.lineno, place.end_lineno


def _codes(code: CodeType) -> Iterator[CodeType]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield inner
            yield from _codes(inner)
