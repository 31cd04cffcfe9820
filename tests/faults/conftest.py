"""A founded house and the points that a sound run on it passes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.ground import quick
from tests.faults.record import Point, record
from tests.gate.founding import found
from tests.gate.world import World, short_folder


@pytest.fixture(scope="module")
def founded() -> Iterator[World]:
    with quick(), short_folder() as state:
        yield found(state)


@pytest.fixture(scope="module")
def points(founded: World) -> tuple[Point, ...]:
    return record(founded)
