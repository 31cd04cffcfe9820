"""Opening: what was sealed comes back, to whom it is granted. What must not open: tests/mutations."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from sandbox.errors import KeyBarred, SealBroken, Unreachable
from sandbox.sealing.manifest import open_at_head
from sandbox.sealing.reader import SealedDataset, count_data_keys, read_pinned
from sandbox.sealing.records import cipher, open_record, seal_record
from sandbox.sealing.verify import verify_version
from tests.fakes.corpus import ANNA, BEN, DATASET, RECORDS, record


def test_what_was_sealed_comes_back(world):
    assert world.read_all() == RECORDS
    assert world.open().read("u2") == RECORDS[2]
    assert world.manifest().records == 4
    assert len(world.manifest().shards) == 2


def test_the_keeper_opens_by_the_grant_alone(world):
    opened = SealedDataset.open(
        world.root,
        dataset=DATASET,
        manifest_digest=world.head.head.manifest,
        keys=[world.signer.public],
        keyring=world.keys,
        subjects=[ANNA],
    )
    assert [row.record for row in opened.rows] == ["u0", "u1"]
    with pytest.raises(SealBroken, match="not among those opened"):
        opened.read("u2")


def test_only_the_granted_subjects_are_unwrapped(world):
    before = world.keys.calls["unwrap"]
    world.open([BEN])
    assert world.keys.calls["unwrap"] - before == 1 + 1
    world.seal([record("u9", BEN)])
    before = world.keys.calls["unwrap"]
    world.open([BEN])
    assert (
        world.keys.calls["unwrap"] - before == 1 + count_data_keys(world.folder, world.manifest(), [BEN]) == 3
    )


def test_a_stream_keeps_the_order_that_was_asked(world):
    asked = ["u3", "u0", "u2", "u1", "u0"]
    assert [r.record for r in world.open().stream(asked, ahead=1)] == asked


# The tag pin and the additional data: either alone stops a swap.


def world_cipher(world, subject):
    return cipher(
        world.keys.unwrap_data_key(
            DATASET, subject, read_pinned(world.folder, world.manifest())[0][subject][0]
        )
    )


def test_additional_data_alone_stops_a_swap(world):
    one, other = world.rows()[:2]
    sealed = world.sealed(other)
    with pytest.raises(SealBroken, match="does not authenticate"):
        open_record(sealed, replace(one, tag=sealed[-16:]), DATASET, world_cipher(world, ANNA))


def test_the_tag_pin_alone_stops_an_old_revision(world):
    row, key = world.rows()[0], world_cipher(world, ANNA)
    with pytest.raises(SealBroken, match="another tag"):
        open_record(seal_record(RECORDS[0], DATASET, 1, key), row, DATASET, key)


@pytest.mark.parametrize(
    "change", [{"dataset": "other"}, {"subject": BEN}, {"record": "u1"}, {"revision": 2}]
)
def test_a_record_is_bound_to_its_whole_place(world, change):
    row, key = world.rows()[0], world_cipher(world, ANNA)
    dataset = change.pop("dataset", DATASET)
    with pytest.raises(SealBroken, match="does not authenticate"):
        open_record(world.sealed(row), replace(row, **change), dataset, key)


def test_a_barred_subject_bars_no_other(world):
    world.keys.barred.add(BEN)
    with pytest.raises(KeyBarred):
        world.open()
    assert len(world.open([ANNA]).rows) == 2


def test_a_pipe_in_a_shards_place_keeps_no_reader_waiting(world):
    opened, path = world.open(), world.shard(0)
    path.unlink()
    os.mkfifo(path)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(opened.read, "u1")
        try:
            with pytest.raises(Unreachable):
                reading.result(timeout=60)
        finally:
            os.close(os.open(path, os.O_RDWR))  # lets a reader go that waits all the same


def test_verify_needs_no_key(world):
    opened = open_at_head(world.folder, DATASET, world.head.head, [world.signer.public])
    world.keys.masters.clear()
    seen = []
    found = verify_version(world.folder, opened, seen.append)
    assert found.shards == 2
    assert found.bytes == seen[-1] == sum(shard.size for shard in opened.manifest.shards)
