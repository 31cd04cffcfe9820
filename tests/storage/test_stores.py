"""What every storage of sealed objects does alike: a folder, and a bucket on a real S3 server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.errors import Conflict, SealBroken
from sandbox.sealing.compactor import compact
from sandbox.sealing.eraser import erase_subject
from sandbox.sealing.manifest import shard_name
from sandbox.sealing.storage import Folder, Store, read_whole
from sandbox.sealing.verify import verify_version
from tests.fakes.corpus import ANNA, BEN, RECORDS, TERMS, World
from tests.fakes.s3 import S3

SHARD = f"shards/{'a' * 64}.tar"


@dataclass
class Ground:
    """A store, and how somebody else would change what lies in it."""

    store: Store
    put: Callable[[str, bytes], None]
    make_foreign: Callable[[str], None]


def folder_ground(path: Path) -> Ground:
    def put(name: str, data: bytes) -> None:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)

    return Ground(Folder(path), put, lambda name: (path / name).mkdir(parents=True))


def bucket_ground(objects: S3, prefix: str, path: Path) -> Ground:
    client = objects.behind()

    def put(name: str, data: bytes) -> None:
        client.put_object(Bucket="sealed", Key=f"{prefix}/{name}", Body=data)

    return Ground(objects.bucket(prefix, spool=path), put, lambda name: put(f"{name}/within", b"x"))


@pytest.fixture(params=["folder", "bucket", "slow bucket"])
def ground(request: pytest.FixtureRequest, tmp_path: Path, prefix: str) -> Ground:
    if request.param == "folder":
        return folder_ground(tmp_path / "digits")
    objects: S3 = request.getfixturevalue("objects")
    objects.relay.delay_s = 0.02 if request.param.startswith("slow") else 0.0
    return bucket_ground(objects, prefix, tmp_path)


def test_what_is_published_is_read_whole_or_in_part(ground: Ground) -> None:
    ground.store.publish(SHARD, b"0123456789")
    assert ground.store.size(SHARD) == 10
    assert ground.store.read(SHARD, 2, 3) == b"234"
    assert ground.store.read(SHARD, 7, 3) == b"789"
    assert ground.store.read(SHARD, 4, 0) == b""
    assert read_whole(ground.store, SHARD, 10) == b"0123456789"


def test_a_name_that_is_taken_is_refused_and_keeps_its_bytes(ground: Ground) -> None:
    ground.store.publish("index/1.sealed", b"first")
    for data in (b"other", b"longer than the first"):
        with pytest.raises(Conflict) as caught:
            ground.store.publish("index/1.sealed", data)
        assert caught.value.code == "seal.object_exists" and "index/1.sealed" in caught.value.message
    assert ground.store.read("index/1.sealed", 0, 5) == b"first"


def test_of_many_writers_of_one_name_one_wins(ground: Ground) -> None:
    def write(number: int) -> bool:
        try:
            ground.store.publish("keys/1.json", b"%d" % number)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        won = [number for number, done in enumerate(pool.map(write, range(6))) if done]
    assert len(won) == 1 and ground.store.read("keys/1.json", 0, 1) == b"%d" % won[0]


def test_names_are_those_of_one_folder(ground: Ground) -> None:
    assert ground.store.names("index") == []
    for name in ("index/2.sealed", "index/1.sealed", "keys/1.json"):
        ground.store.publish(name, b"x")
    ground.put("index/.partial-1", b"x")
    assert ground.store.names("index") == ["1.sealed", "2.sealed"]


def test_a_missing_object_is_named(ground: Ground) -> None:
    for ask in (lambda: ground.store.size(SHARD), lambda: ground.store.read(SHARD, 0, 1)):
        with pytest.raises(SealBroken, match=SHARD) as caught:
            ask()
        assert caught.value.code == "seal.object_missing"


@pytest.mark.parametrize(("offset", "length"), [(0, 11), (9, 2), (10, 1), (500, 3)])
def test_an_object_that_ends_early_is_named(ground: Ground, offset: int, length: int) -> None:
    ground.put(SHARD, b"0123456789")
    with pytest.raises(SealBroken, match=SHARD) as caught:
        ground.store.read(SHARD, offset, length)
    assert caught.value.code == "seal.object_truncated"


def test_something_else_in_an_objects_place_is_foreign(ground: Ground) -> None:
    ground.make_foreign(SHARD)
    with pytest.raises(SealBroken, match=SHARD) as caught:
        ground.store.size(SHARD)
    assert caught.value.code == "seal.object_foreign"


def test_what_grows_has_its_name_when_all_of_it_is_there(ground: Ground) -> None:
    partial = ground.store.partial("shards")
    partial.write(b"01234")
    assert ground.store.names("shards") == []
    partial.write(b"56789")
    partial.publish(SHARD)
    assert read_whole(ground.store, SHARD, 10) == b"0123456789"
    again = ground.store.partial("shards")
    again.write(b"other")
    with pytest.raises(Conflict):
        again.publish(SHARD)
    again.discard()
    assert read_whole(ground.store, SHARD, 10) == b"0123456789"


def test_what_is_given_up_leaves_nothing(ground: Ground, tmp_path: Path) -> None:
    partial = ground.store.partial("shards")
    partial.write(b"x" * 100_000)
    partial.discard()
    partial.discard()
    assert ground.store.names("shards") == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_discarding_may_repeat(ground: Ground) -> None:
    ground.store.publish("keys/1.json", b"x")
    ground.store.discard("keys/1.json")
    ground.store.discard("keys/1.json")
    assert ground.store.names("keys") == []
    ground.store.publish("keys/1.json", b"y")


class Sealed(World):
    """The small corpus, in another store."""

    store: Store

    @property
    def folder(self) -> Store:
        return self.store


def test_a_dataset_is_sealed_opened_and_verified_there(ground: Ground, tmp_path: Path) -> None:
    world = Sealed(tmp_path / "digits")
    world.store = ground.store
    sealing = world.seal()
    assert [record.flac for record in world.read_all()] == [record.flac for record in RECORDS]
    opened = world.open()
    assert verify_version(ground.store, _opened(opened)).shards == len(sealing.manifest.shards) == 2
    world.seal([RECORDS[0].__class__(**{**vars(RECORDS[0]), "record": "u9"})])
    assert ground.store.names("manifests") == ["1.dsse.json", "2.dsse.json"]
    assert len(world.read_all()) == 5


def test_a_voice_is_erased_and_its_ciphertext_compacted_away_there(ground: Ground, tmp_path: Path) -> None:
    world = Sealed(tmp_path / "digits", shard_bytes=1 << 20)  # both voices in one shard
    world.store = ground.store
    before = world.seal().manifest.shards[0]
    erase_subject(ground.store, world.dataset, BEN, TERMS, world.hands)
    list(compact(ground.store, world.dataset, lambda before: TERMS, world.hands, 5))
    assert [shard.size for shard in world.manifest().shards] < [before.size]
    assert {record.subject for record in world.read_all()} == {ANNA}
    ground.store.discard(shard_name(before.sha256))
    assert {record.subject for record in world.read_all()} == {ANNA}


def _opened(dataset):
    from sandbox.sealing.manifest import OpenedManifest

    return OpenedManifest(dataset.manifest, dataset.digest)


def test_a_folder_takes_no_link_and_no_pipe(tmp_path: Path) -> None:
    ground = folder_ground(tmp_path)
    (tmp_path / "shards").mkdir()
    (tmp_path / "elsewhere").write_bytes(b"x")
    (tmp_path / SHARD).symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "shards" / "pipe")
    for name in (SHARD, "shards/pipe"):
        with pytest.raises(SealBroken) as caught:
            ground.store.size(name)
        assert caught.value.code == "seal.object_foreign"
    shutil.rmtree(tmp_path / "shards")
