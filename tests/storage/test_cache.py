"""Staging ciphertext: whole or not at all, checked, resumable, shared, evicted and purged, never under a live run."""

from __future__ import annotations

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sandbox.errors import SealBroken, Unreachable
from sandbox.sealing.eraser import erase_subject
from sandbox.sealing.manifest import OpenedManifest, open_at_head, shard_name
from sandbox.sealing.reader import open_version
from sandbox.sealing.storage import Folder
from sandbox.storage.cache import Cache
from tests.fakes.corpus import BEN, RECORDS, TERMS, World, record


class Watched(Folder):
    """Counts what is read, and can be told to break."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.read_bytes: dict[str, int] = {}
        self.breaks_after: int | None = None
        self._lock = threading.Lock()

    def read(self, name: str, offset: int, length: int) -> bytes:
        with self._lock:
            if self.breaks_after is not None:
                self.breaks_after -= 1
                if self.breaks_after < 0:
                    raise Unreachable("gone")
            self.read_bytes[name] = self.read_bytes.get(name, 0) + length
        return super().read(name, offset, length)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path / "digits")
    world.seal()
    return world


@pytest.fixture
def source(world: World) -> Watched:
    return Watched(world.root)


@pytest.fixture
def live() -> set[str]:
    return set()


@pytest.fixture
def cache(tmp_path: Path, live: set[str]) -> Cache:
    return Cache(tmp_path / "cache", 1 << 30, lambda: live)


def newest(world: World) -> OpenedManifest:
    assert world.head.head
    return open_at_head(world.folder, world.dataset, world.head.head, [world.signer.public])


def files(path: Path) -> list[str]:
    return sorted(str(found.relative_to(path)) for found in path.rglob("*") if found.is_file())


def test_a_staged_version_is_a_folder_that_opens_like_the_first(
    world: World, source: Watched, cache: Cache
) -> None:
    opened = newest(world)
    staged = cache.stage(source, opened)
    assert staged == cache.view("digits", opened.digest)
    assert files(staged) == files(world.root)
    for name in files(staged):
        found = (staged / name).lstat()
        assert stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o444
        assert (staged / name).read_bytes() == (world.root / name).read_bytes()
    dataset = open_version(Folder(staged), opened, world.keys)
    assert [found.flac for found in dataset.stream()] == [made.flac for made in RECORDS]


def test_the_second_time_nothing_is_read(world: World, source: Watched, cache: Cache) -> None:
    cache.stage(source, newest(world))
    source.read_bytes.clear()
    cache.stage(source, newest(world))
    assert source.read_bytes == {}


def test_versions_share_what_they_have_in_common(world: World, source: Watched, cache: Cache) -> None:
    first = cache.stage(source, newest(world))
    before = newest(world).manifest.shards
    world.seal([record("u9", BEN)])
    source.read_bytes.clear()
    second = cache.stage(source, newest(world))
    assert {name for name in source.read_bytes if name.startswith("shards/")} == {
        shard_name(shard.sha256) for shard in newest(world).manifest.shards if shard not in before
    }
    shared = shard_name(before[0].sha256)
    assert (first / shared).samefile(second / shared)


def test_what_a_broken_attempt_brought_is_not_brought_again(world: World, cache: Cache, monkeypatch) -> None:
    monkeypatch.setattr("sandbox.storage.objects._PIECE", 512)
    monkeypatch.setattr("sandbox.storage.ahead.BLOCK_BYTES", 512)
    source = Watched(world.root)
    brought = []

    def give_up(done: int, total: int) -> None:
        brought.append(done)
        if done > total - 2000:
            raise Unreachable("killed")

    with pytest.raises(Unreachable):
        cache.stage(source, newest(world), give_up)
    assert not cache.view("digits", newest(world).digest).exists()
    partial = next((cache._root / "partial").iterdir())
    assert partial.stat().st_size > 0
    again = Watched(world.root)
    cache.stage(again, newest(world))
    shard = shard_name(partial.name)
    size = (world.root / shard).stat().st_size
    assert 0 < again.read_bytes[shard] < size + 512
    assert list((cache._root / "partial").iterdir()) == []
    assert len(world.read_all()) == 4


def test_a_damaged_partial_is_thrown_away_and_the_next_attempt_begins_anew(
    world: World, cache: Cache
) -> None:
    opened = newest(world)
    shard = opened.manifest.shards[0]
    (cache._root / "partial" / shard.sha256).write_bytes(b"x" * (shard.size // 2))
    with pytest.raises(SealBroken) as caught:
        cache.stage(Folder(world.root), opened)
    assert caught.value.code == "seal.object_differs"
    staged = cache.stage(Folder(world.root), opened)
    assert (staged / shard_name(shard.sha256)).stat().st_size == shard.size


@pytest.mark.parametrize("which", ["index", "keys", "shards"])
def test_what_is_not_what_was_signed_is_never_mounted(
    world: World, source: Watched, cache: Cache, which: str
) -> None:
    opened = newest(world)
    victim = next((world.root / which).iterdir())
    world.flip(victim, victim.stat().st_size // 2)
    with pytest.raises(SealBroken, match=f"{which}/.* is not what was signed"):
        cache.stage(source, opened)
    assert not cache.view("digits", opened.digest).exists()
    world.flip(victim, victim.stat().st_size // 2)
    cache.stage(source, opened)


def test_a_shard_of_another_size_is_refused_before_it_is_read(
    world: World, source: Watched, cache: Cache
) -> None:
    opened, victim = newest(world), world.shard(0)
    victim.write_bytes(victim.read_bytes() + b"garbage")
    with pytest.raises(SealBroken) as caught:
        cache.stage(source, opened)
    assert caught.value.code == "seal.shard_differs" and f"shards/{victim.name}" not in source.read_bytes


def test_a_missing_shard_is_named(world: World, source: Watched, cache: Cache) -> None:
    opened, victim = newest(world), world.shard(1)
    victim.unlink()
    with pytest.raises(SealBroken, match=victim.name) as caught:
        cache.stage(source, opened)
    assert caught.value.code == "seal.object_missing"


def test_a_file_damaged_in_the_cache_is_brought_again(world: World, source: Watched, cache: Cache) -> None:
    opened = newest(world)
    staged = cache.stage(source, opened)
    victim = staged / shard_name(opened.manifest.shards[0].sha256)
    victim.chmod(0o600)
    with open(victim, "r+b") as file:
        file.truncate(100)
    again = cache.stage(source, opened)
    assert (again / victim.relative_to(staged)).stat().st_size == opened.manifest.shards[0].size


def test_who_asks_while_it_comes_waits_and_nothing_is_read_twice(
    world: World, source: Watched, cache: Cache
) -> None:
    opened = newest(world)
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(lambda _: cache.stage(source, opened), range(4)))) == 1
    assert source.read_bytes == {name: (world.root / name).stat().st_size for name in files(world.root)}


def test_who_waits_for_another_still_looks_up_and_may_give_up(
    world: World, source: Watched, cache: Cache, monkeypatch
) -> None:
    """A run that waits keeps its lease and sees that it was killed."""
    monkeypatch.setattr("sandbox.storage.objects._LOOK_S", 0.01)
    opened, half, given_up = newest(world), threading.Event(), threading.Event()

    def slow(done: int, total: int) -> None:
        half.set()
        assert given_up.wait(60)

    def killed(done: int, total: int) -> None:
        raise KeyError("killed")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.stage, source, opened, slow)
        assert half.wait(60)
        second = pool.submit(cache.stage, source, opened, killed)
        try:
            with pytest.raises(KeyError):
                second.result(30)
        finally:
            given_up.set()
        assert len(files(first.result(60))) == 5


def test_a_crash_leaves_no_half_version(
    world: World, source: Watched, cache: Cache, monkeypatch, live
) -> None:
    monkeypatch.setattr(Path, "rename", lambda self, target: (_ for _ in ()).throw(KeyboardInterrupt))
    for path in world.root.rglob("*.*"):  # all objects are here; only the last step is cut off
        if path.is_file():
            digest = __import__("hashlib").sha256(path.read_bytes()).hexdigest()
            (cache._root / "objects" / digest).write_bytes(path.read_bytes())
    with pytest.raises(KeyboardInterrupt):
        cache.stage(source, newest(world))
    monkeypatch.undo()
    assert cache.views() == []
    again = Cache(cache._root, 1 << 30, lambda: live)
    assert files(cache._root / "views") == []
    assert len(files(again.stage(source, newest(world)))) == 5


def test_what_a_crash_left_read_only_is_gone_on_with(
    world: World, source: Watched, cache: Cache, monkeypatch
) -> None:
    """Whole, its mode set, but not yet named: whoever is not root may not open such a file for writing."""
    opened, real = newest(world), os.open
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            cache.stage(source, opened)
    assert files(cache._root / "partial") != []

    def as_nobody(path: Path, flags: int, *mode: int, **named: int) -> int:
        if flags & os.O_RDWR and Path(path).exists() and not Path(path).stat().st_mode & stat.S_IWUSR:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *mode, **named)

    monkeypatch.setattr(os, "open", as_nobody)
    assert len(files(cache.stage(source, opened))) == 5


def test_a_version_whose_files_a_power_cut_took_is_removed_and_brought_again(
    world: World, source: Watched, cache: Cache
) -> None:
    opened = newest(world)
    view = cache.stage(source, opened)
    for path in (view / "manifests").iterdir():
        path.unlink()
    assert [found.version for found in cache.views()] == [0]
    gone, _ = cache.purge(lambda found: found.version > 0)
    assert [found.digest for found in gone] == [opened.digest]
    assert len(files(cache.stage(source, opened))) == 5


# Room


def small(cache: Cache, most: int, live: set[str]) -> Cache:
    return Cache(cache._root, most, lambda: live)


def test_the_version_used_longest_ago_goes_first(world: World, source: Watched, cache: Cache, live) -> None:
    first = newest(world)
    cache.stage(source, first)
    world.seal([record("u8", BEN)])
    second = newest(world)
    cache.stage(source, second)
    os.utime(cache.view("digits", first.digest), (1, 1))
    gone = small(cache, cache.objects.bytes() - 1, live).evict()
    assert [view.digest for view in gone] == [first.digest]
    assert len(files(cache.view("digits", second.digest))) == 6
    os.utime(cache.view("digits", second.digest), (1, 1))
    cache.stage(source, first)
    assert small(cache, 1, live).evict()[0].digest == second.digest


def test_a_version_of_a_live_run_is_never_evicted(world: World, source: Watched, cache: Cache, live) -> None:
    opened = newest(world)
    cache.stage(source, opened)
    live.add(opened.digest)
    assert small(cache, 1, live).evict() == [] and cache.view("digits", opened.digest).is_dir()
    live.clear()
    assert len(small(cache, 1, live).evict()) == 1 and cache.objects.bytes() == 0


def test_without_room_beside_live_runs_the_next_is_refused(
    world: World, source: Watched, cache: Cache, live
) -> None:
    first = newest(world)
    cache.stage(source, first)
    live.add(first.digest)
    world.seal([record("u8", BEN, b"x" * 5000)])
    tight = small(cache, cache.objects.bytes() + 10_000, live)  # a shard has 10 240 at least
    with pytest.raises(Unreachable) as caught:
        tight.stage(source, newest(world))
    assert caught.value.code == "cache.full" and "cache_max" in caught.value.mend
    live.clear()
    tight.stage(source, newest(world))
    assert [view.digest for view in tight.views()] == [newest(world).digest]
    assert tight.objects.bytes() <= tight._max


def test_two_that_come_at_once_do_not_share_one_room(
    world: World, tmp_path: Path, cache: Cache, live
) -> None:
    other = World(tmp_path / "other", dataset="other")
    other.seal()
    opened = [newest(world), newest(other)]
    size = sum(path.stat().st_size for path in world.root.rglob("*") if path.is_file())
    tight, inside, go_on = small(cache, int(size * 1.5), live), threading.Event(), threading.Event()

    def hold(done: int, total: int) -> None:
        inside.set()
        go_on.wait(60)

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(tight.stage, Folder(world.root), opened[0], hold)
        assert inside.wait(60)
        with pytest.raises(Unreachable, match="no room"):
            tight.stage(Folder(other.root), opened[1])
        go_on.set()
        assert coming.result().is_dir()


# Erased, compacted


def test_after_an_erasure_the_version_with_the_voice_leaves_the_cache(
    world: World, source, cache: Cache, live
) -> None:
    before = newest(world)
    only_bens = {row.shard for row in world.rows() if row.subject == BEN}
    cache.stage(source, before)
    erase_subject(world.folder, world.dataset, BEN, TERMS, world.hands)
    after = newest(world)
    cache.stage(source, after)
    assert world.head.head
    least = world.head.head.min_version
    live.add(before.digest)
    gone, left = cache.purge(lambda view: view.version >= least)
    assert (gone, [view.digest for view in left]) == ([], [before.digest])
    live.clear()
    gone, left = cache.purge(lambda view: view.version >= least)
    assert ([view.digest for view in gone], left) == ([before.digest], [])
    kept = {path.name for path in (cache._root / "objects").iterdir()}
    assert not kept & {before.manifest.shards[number].sha256 for number in only_bens}
    assert len(files(cache.view("digits", after.digest))) == 3 + len(after.manifest.shards)


def test_a_purge_takes_what_came_of_versions_that_nobody_waits_for(world: World, cache: Cache) -> None:
    (cache._root / "partial" / ("a" * 64)).write_bytes(b"x")
    (cache._root / "objects" / ("b" * 64)).write_bytes(b"x")
    cache.purge(lambda view: True)
    assert cache.objects.bytes() == 0


def test_a_purge_leaves_alone_what_is_coming(world: World, source: Watched, cache: Cache) -> None:
    def purge(done: int, total: int) -> None:
        cache.purge(lambda view: False)

    staged = cache.stage(source, newest(world), purge)
    assert files(staged) == files(world.root)
