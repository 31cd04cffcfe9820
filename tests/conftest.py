"""Fixtures that several folders share, the folder a session's tests write in, and what a machine may lack: a GPU."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same inputs each time; and how long a busy machine takes for one of them says nothing about the code.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

pytest_plugins = ["tests.fakes.postgres", "tests.storage.plugin", "tests.vault.plugin"]


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give each session a folder under /tmp that is its own, and take it away with what tests wrote.

    Sessions run side by side, and with pytest's numbered folders one that ends may remove another's. What is
    left would be found by the demonstration, which searches /tmp for speech.
    """
    if config.option.basetemp is None:
        config.option.basetemp = tempfile.mkdtemp(prefix="vs-")
        config.add_cleanup(lambda: shutil.rmtree(config.option.basetemp, ignore_errors=True))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """``needs_gpu`` is skipped without one. Engine and Vault are never optional: their absence is a failure."""
    if Path("/dev/nvidiactl").exists():
        return
    for item in items:
        if item.get_closest_marker("needs_gpu"):
            item.add_marker(pytest.mark.skip(reason="no NVIDIA GPU here"))
