"""What a live run may hold stays; what nobody can need goes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sandbox.errors import Conflict
from sandbox.sealing.compactor import compact
from sandbox.sealing.verify import verify_version
from tests.fakes.corpus import ANNA, DATASET, TERMS, record
from tests.sealing.test_sealing import Crash, files
from tests.sealing.verbs import DAY, NOW, finish, squeeze, swept


def test_what_a_live_run_may_hold_stays_and_goes_when_its_time_is_over(mixed):
    squeeze(mixed)
    held = files(mixed)
    early = swept(mixed, after=timedelta(hours=23))
    assert (early.objects, early.waiting_until) == (0, NOW + DAY)
    assert early.waiting_bytes > 0 and files(mixed) == held
    assert mixed.head.head.min_version == 2
    done = swept(mixed)
    assert done.bytes == early.waiting_bytes
    assert mixed.head.head.min_version == mixed.head.head.version == 3
    left = sorted(path.relative_to(mixed.root).as_posix() for path in files(mixed))
    assert [name for name in left if not name.startswith(("manifests", "shards"))] == [
        "index/3.sealed",
        "keys/3.json",
    ]
    assert len([name for name in left if name.startswith("shards")]) == 1
    assert len([name for name in left if name.startswith("manifests")]) == 3  # the history stays
    assert swept(mixed).objects == 0
    assert len(mixed.read_all()) == 4
    verify_version(mixed.folder, mixed.open_manifest())


def test_a_shard_that_the_newest_version_needs_stays(world):
    """Versions share shards: only what the old one alone needs goes."""
    world.seal([record("u9", ANNA)])
    done = swept(world)
    assert done.objects == 2  # keys and index of version 1
    assert len(world.read_all()) == 5
    verify_version(world.folder, world.open_manifest())


def test_a_shard_that_a_waiting_version_needs_stays(mixed):
    """Version 2 was replaced later than version 1: a run that holds it still reads the shard that both name."""
    late = replace(TERMS, created_at="2026-11-25T12:00:00Z")
    finish(compact(mixed.folder, DATASET, lambda _: late, mixed.hands, 20))
    held = mixed.folder.names("shards")
    assert swept(mixed, after=timedelta(days=1)).objects == 2
    assert mixed.folder.names("shards") == held
    assert swept(mixed, after=timedelta(days=3)).objects == 3


def test_nothing_goes_while_another_writer_moves_the_head(mixed, monkeypatch):
    squeeze(mixed)
    held = files(mixed)

    def lost(*_):
        raise Conflict("moved")

    monkeypatch.setattr(mixed.head, "move", lost)
    with pytest.raises(Conflict):
        swept(mixed)
    assert files(mixed) == held


def test_a_version_that_never_was_the_newest_dates_no_other(mixed, monkeypatch):
    """A crash left version 3 behind, years ago; version 2 was replaced by 4, and not by that."""
    long_ago = replace(TERMS, created_at="2020-01-01T00:00:00Z")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixed.head, "move", lambda *_: (_ for _ in ()).throw(Crash()))
        with pytest.raises(Crash):
            finish(compact(mixed.folder, DATASET, lambda _: long_ago, mixed.hands, 20))
    assert squeeze(mixed).manifest.version == 4
    assert swept(mixed, after=timedelta(hours=1)).objects == 0
