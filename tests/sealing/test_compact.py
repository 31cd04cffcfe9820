"""The living are copied, the dead are not, and damage is never signed anew."""

import tarfile

import pytest

from sandbox.errors import Conflict, SealBroken
from sandbox.sealing.compactor import compact, dead_bytes
from tests.fakes.corpus import DATASET
from tests.sealing.verbs import finish, kept, squeeze


def test_the_living_are_copied_and_the_dead_are_not(mixed):
    old, before, calls = mixed.manifest().shards[0], mixed.read_all(), mixed.keys.calls["unwrap"]
    dead = int(dead_bytes([old], mixed.open().rows)[0])
    calls = mixed.keys.calls["unwrap"]
    done = squeeze(mixed)
    assert mixed.keys.calls["unwrap"] == calls + 1  # the index's key, and no voice
    assert (done.shards_before, done.shards_after) == (1, 1)
    assert done.bytes_before - done.bytes_after == dead > old.size // 3
    assert mixed.read_all() == before
    assert [row.tag for row in mixed.rows()]
    with tarfile.open(mixed.shard(0)) as tar:
        assert tar.getnames() == ["u1.sealed", "u3.sealed", "u5.sealed", "u7.sealed"]
    assert squeeze(mixed, above=0) is None


def test_little_dead_is_left_alone(mixed):
    assert squeeze(mixed, above=60) is None
    assert mixed.head.head.version == 2


def test_damage_is_named_and_never_signed_anew(mixed):
    mixed.flip(mixed.shard(0), 700)
    with pytest.raises(SealBroken) as caught:
        squeeze(mixed)
    assert caught.value.code == "seal.shard_differs"
    assert mixed.head.head.version == 2


def test_two_compactions_race_and_the_loser_takes_only_its_own_back(mixed):
    steps = compact(mixed.folder, DATASET, kept, mixed.hands, 20)
    next(steps)
    squeeze(mixed)
    with pytest.raises(Conflict):
        finish(steps)
    assert len(mixed.read_all()) == 4
