"""Fixtures that several folders share, and the one thing a machine may lack: a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["tests.vault.plugin"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """``needs_gpu`` is skipped without one. Engine and Vault are never optional: their absence is a failure."""
    if Path("/dev/nvidiactl").exists():
        return
    for item in items:
        if item.get_closest_marker("needs_gpu"):
            item.add_marker(pytest.mark.skip(reason="no NVIDIA GPU here"))
