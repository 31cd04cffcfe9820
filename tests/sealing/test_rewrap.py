"""Keys are rotated: old wraps die, and only when the new ones stand; records stay what they are."""

import pytest

from sandbox.errors import Conflict, EvidenceMismatch, NotFound, SealBroken, SealError
from sandbox.sealing.rewrap import rewrap
from sandbox.sealing.version import key_version
from tests.fakes.corpus import ANNA, BEN, DATASET, RECORDS, World, record
from tests.sealing.verbs import finish, kept, turn, wraps


def test_old_wraps_die_and_every_record_still_opens(world):
    world.seal([record("u9", ANNA)])
    before, shards = wraps(world), world.manifest().shards
    done = turn(world)
    assert (done.subjects, done.wraps, done.manifest.version) == ((ANNA, BEN), 3, 3)
    assert world.manifest().shards == shards
    assert world.read_all() == [*RECORDS, record("u9", ANNA)]
    assert {key_version(wrap) for listed in wraps(world).values() for wrap in listed} == {2}
    assert set(world.manifest().key_versions.values()) == {2}
    for subject, listed in before.items():
        for wrapped in listed:
            with pytest.raises(SealBroken, match="retired"):
                world.keys.unwrap_data_key(DATASET, subject, wrapped)


def test_one_person_may_be_turned_alone(world):
    before = wraps(world)
    assert turn(world, BEN).subjects == (BEN,)
    assert wraps(world)[ANNA] == before[ANNA]
    assert world.keys.unwrap_data_key(DATASET, ANNA, before[ANNA][0])
    with pytest.raises(SealBroken):
        world.keys.unwrap_data_key(DATASET, BEN, before[BEN][0])
    assert world.read_all() == RECORDS
    assert world.head.head.min_version == 2


def test_nobody_and_nothing_cannot_be_turned(world, tmp_path):
    with pytest.raises(NotFound):
        turn(world, "spk_nobody")
    with pytest.raises(NotFound):
        turn(World(tmp_path / "none"))


def test_a_key_that_is_gone_without_an_erasure_is_said(world):
    world.keys.destroy(DATASET, BEN)
    with pytest.raises(SealError) as caught:
        turn(world)
    assert caught.value.code == "seal.key_missing"
    assert world.head.head.version == 1


def test_a_vault_that_did_not_rotate_moves_no_head(world, monkeypatch):
    monkeypatch.setattr(world.keys, "rotate_key", lambda *_: None)
    with pytest.raises(EvidenceMismatch):
        turn(world)
    assert world.head.head.version == 1


def test_the_loser_of_a_race_retires_nothing(world):
    steps = rewrap(world.folder, DATASET, kept, world.hands)
    next(steps)
    world.seal([record("u9", ANNA)])
    with pytest.raises(Conflict):
        finish(steps)
    assert world.keys.calls["retire"] == 0
    assert len(world.read_all()) == 5


def test_what_was_sealed_after_turning_is_wrapped_by_the_newest_version(world):
    turn(world)
    world.seal([record("u9", ANNA)])
    turn(world)
    assert {key_version(wrap) for wrap in wraps(world)[ANNA]} == {3}
    assert len(world.read_all()) == 5
