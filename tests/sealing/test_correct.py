"""A record is replaced: revision + 1, and the old one is refused wherever it comes from."""

from dataclasses import replace

import pytest

from sandbox.errors import NotFound, SealBroken, Usage
from tests.fakes.corpus import BEN, RECORDS
from tests.sealing.verbs import OTHER, correct


def test_a_corrected_record_is_another_and_the_rest_is_what_it_was(world):
    correct(world)
    rows = {row.record: row for row in world.rows()}
    assert (rows["u1"].revision, rows["u1"].key, rows["u0"].revision) == (2, 1, 1)
    assert world.open().read("u1") == OTHER
    assert sorted(world.read_all(), key=lambda one: one.record) == [RECORDS[0], OTHER, *RECORDS[2:]]
    assert (world.manifest().records, world.head.head.min_version) == (4, 2)
    correct(world, replace(OTHER, text="and another"))
    assert {row.record: row.revision for row in world.rows()}["u1"] == 3


def test_an_old_revision_put_back_is_refused(world):
    old = world.sealed(world.rows()[1])
    correct(world)
    row = next(row for row in world.rows() if row.record == "u1")
    world.put(replace(row, length=len(old)), old)
    with pytest.raises(SealBroken):
        world.open().read("u1")


@pytest.mark.parametrize("change", [{"subject": BEN}, {"language": "de"}])
def test_a_voice_never_changes_hands(world, change):
    with pytest.raises(Usage):
        correct(world, replace(OTHER, **change))
    assert world.head.head.version == 1


def test_what_is_not_there_is_not_corrected(world):
    with pytest.raises(NotFound):
        correct(world, replace(OTHER, record="u77"))


def test_a_shard_whose_last_record_was_corrected_is_named_no_more(world):
    first = world.manifest().shards[0]
    for one in RECORDS[:2]:
        correct(world, one)
    assert first not in world.manifest().shards
