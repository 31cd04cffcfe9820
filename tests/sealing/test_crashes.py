"""Killed at any effect, every verb leaves a version that opens, and may be asked for again."""

import pytest

from sandbox.sealing.eraser import erase_subject
from sandbox.sealing.storage import Folder
from sandbox.sealing.verify import verify_version
from tests.fakes.corpus import BEN, DATASET, TERMS, World
from tests.sealing.test_sealing import Crash, crash_at
from tests.sealing.verbs import correct, squeeze, swept, turn

VERBS = {
    "rewrap": turn,
    "correct": correct,
    "compact": lambda world: squeeze(world, above=-1),
    "erase": lambda world: erase_subject(world.folder, DATASET, BEN, TERMS, world.hands),
    "sweep": swept,
}


def counted_too(patch, world, left):
    """Vault's keys and removed objects, besides what ``crash_at`` counts."""
    keys = ((world.keys, name) for name in ("rotate_key", "rewrap_data_key", "retire_wraps", "wrap_data_key"))
    for place, name in (*keys, (Folder, "discard")):
        effect = getattr(place, name)

        def step(*arguments, effect=effect):
            left[0] -= 1
            if left[0] == 0:
                raise Crash
            return effect(*arguments)

        patch.setattr(place, name, step)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a crash closes no file
@pytest.mark.parametrize("verb", VERBS)
def test_a_crash_at_any_effect_leaves_a_version_that_opens_and_may_be_repeated(tmp_path, verb):
    crashed = 0
    for moment in range(1, 200):
        world = World(tmp_path / str(moment))
        world.seal()
        if verb == "sweep":
            squeeze(world, above=-1)
        with pytest.MonkeyPatch.context() as patch:
            left = crash_at(patch, world, moment, Crash())
            counted_too(patch, world, left)
            try:
                VERBS[verb](world)
            except Crash:
                crashed += 1
        if left[0] > 0:
            break
        assert {one.record for one in world.read_all()} >= {"u0", "u1"}
        VERBS[verb](world)
        world.read_all()
        if verb == "sweep":
            assert world.folder.names("index") == [f"{world.head.head.version}.sealed"]
            assert len(world.folder.names("shards")) == len(world.manifest().shards)
        verify_version(world.folder, world.open_manifest())
    assert crashed >= 5
