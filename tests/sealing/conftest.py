import pytest

from sandbox.sealing.eraser import erase_subject
from tests.fakes.corpus import ANNA, BEN, DATASET, TERMS, World, record


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path / "digits")
    world.seal()
    return world


@pytest.fixture
def mixed(tmp_path):
    """Eight records of two people in one shard; Anna is erased: half of it is dead."""
    world = World(tmp_path / "mixed", shard_bytes=1 << 20)
    world.seal([record(f"u{n}", (ANNA, BEN)[n % 2]) for n in range(8)])
    world.keys.destroy(DATASET, ANNA)
    erase_subject(world.folder, DATASET, ANNA, TERMS, world.hands)
    return world
