"""Fixtures of the training tests: streams put back after the worker hushed them, one thread, the recipes' folder."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def streams_come_back() -> Iterator[None]:
    out, err = sys.stdout, sys.stderr
    yield
    sys.stdout, sys.stderr = out, err
    logging.disable(logging.NOTSET)


@pytest.fixture
def recipes() -> Path:
    return Path(__file__).parents[2] / "recipes"


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[[str], Path]:
    """Write a recipe's source; answer its folder."""

    def write(source: str) -> Path:
        (tmp_path / "recipe.py").write_text(source)
        return tmp_path

    return write
