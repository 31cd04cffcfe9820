"""What a run's container is asked to be, from whatever a request said."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.gate.places import Places
from sandbox.gate.runs.containers import spec_of
from tests.fakes.grants import grant

SEALED: Any = SimpleNamespace(folder=lambda *_: "/nowhere/sealed")


@pytest.mark.parametrize(
    ("asked", "given"), [(8 << 30, 8 << 30), ((4 << 30) + 5, 4 << 30), (8191 + (1 << 30), (1 << 30) + 4096)]
)
def test_a_memory_limit_is_one_that_the_kernel_keeps(asked: int, given: int) -> None:
    """Else the readback differs, and a request would open an incident."""
    compute = {"cpus": 1.0, "memory_bytes": asked, "gpus": 0}
    assert spec_of(Places(Path("/nowhere")), SEALED, grant(), compute, "podman").memory_bytes == given
