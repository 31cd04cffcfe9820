"""Fixtures of the training tests: what the worker hushed put back, one thread, the recipes' folder."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Sums come out the same on every machine, and tests that run beside each other do not wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def streams_come_back() -> Iterator[None]:
    out, err = sys.stdout, sys.stderr
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    sys.stdout, sys.stderr = out, err
    root.handlers[:] = handlers
    root.setLevel(level)
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
