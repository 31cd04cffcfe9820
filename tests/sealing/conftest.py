import pytest

from tests.fakes.corpus import World


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path / "digits")
    world.seal()
    return world
