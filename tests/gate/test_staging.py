"""Sealed datasets in an object store: the gate decides from there, stages what a run needs, and mounts that."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sandbox.errors import SandboxError
from sandbox.gate.gate import Gate
from sandbox.gate.runs import chronicle, launches
from sandbox.gate.sealed import Staged, cache, chosen
from sandbox.gate.upkeep import keep_tidy
from sandbox.records import check_id
from sandbox.sealing.manifest import open_granted
from sandbox.sealing.storage import Folder
from sandbox.storage.settings import Storage
from tests.fakes.s3 import S3
from tests.gate import scripts
from tests.gate.test_runs import ALL
from tests.gate.world import DATASET, World, admit, ended, reaches, row, run_of, states, until
from tests.storage.test_cache import files


@pytest.fixture
def stored(world: World, objects: S3, prefix: str) -> World:
    """The founded dataset in a bucket, and no longer in the custodian's folder."""
    local = world.places.sealed(DATASET)
    store = objects.root(prefix).store(DATASET)
    for name in files(local):
        store.publish(name, (local / name).read_bytes())
    shutil.rmtree(local)
    root = objects.root(prefix, objects.gate, attempts=2)
    storage = Storage(root.location, 1 << 30)
    world.sealed = lambda database: Staged(
        root, cache(world.places, storage, database), world.vault.gate(), world.keys
    )
    return world


def test_a_run_is_admitted_and_trains_on_what_was_staged(stored: World) -> None:
    gate = stored.gate()
    found = run_of(gate)
    assert states(gate, found.id) == ALL and found.outcome == "finished"
    plan = chronicle.granted(found)
    mounted = Path(stored.engine.containers[found.id].spec.data)
    assert mounted == stored.places.cache / "views" / DATASET / plan.manifest_digest
    opened = open_granted(Folder(mounted), DATASET, plan.manifest_digest, stored.keys("custodian"))
    assert set(plan.subjects) <= set(opened.manifest.subjects)
    assert stored.state in mounted.parents  # the launcher mounts nothing else


def test_the_second_run_brings_no_shard_again(stored: World, objects: S3) -> None:
    gate = stored.gate()
    run_of(gate)
    objects.network.seen.clear()
    run_of(gate)
    assert not [line for line in objects.network.seen if ".tar" in line]


def test_a_store_that_does_not_answer_fails_the_run_and_mints_nothing(stored: World, objects: S3) -> None:
    gate = stored.gate()
    run = admit(gate)
    objects.network.answers(
        b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 10_000
    )
    gate.supervision.begin(run)
    found = ended(gate, run)
    assert (found.outcome, found.failure) == ("failed", "storage.unreachable")
    assert "minted" not in states(gate, run) and run not in stored.engine.containers


def test_a_shard_that_was_swapped_fails_the_run_by_name(stored: World, objects: S3, prefix: str) -> None:
    client = objects.behind()
    listed = client.list_objects_v2(Bucket="sealed", Prefix=f"{prefix}/{DATASET}/shards/")["Contents"]
    size = listed[0]["Size"]
    client.put_object(Bucket="sealed", Key=listed[0]["Key"], Body=bytes(size))
    gate = stored.gate()
    found = run_of(gate)
    assert (found.outcome, found.failure) == ("failed", "seal.object_differs")
    assert found.id not in stored.engine.containers


def test_a_run_is_killed_while_its_data_comes(stored: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launches, "LOOK_S", 0.0)
    gate = stored.gate()
    run = admit(gate)
    asked = gate.house.clock()
    gate.house.store.transact(lambda c: chronicle.ask_kill(c, run, "b.operator", "no longer wanted", asked))
    gate.supervision.begin(run)
    assert ended(gate, run).outcome == "killed" and run not in stored.engine.containers
    assert gate.house.sealed._cache.views() == []


def test_what_was_erased_from_leaves_the_machine_when_no_run_uses_it(stored: World) -> None:
    gate = stored.gate()
    stored.script = scripts.waits
    run = admit(gate)
    gate.supervision.begin(run)
    reaches(gate, run, "training")
    kept = stored.vault.gate().dataset_head(DATASET)
    stored.vault.custodian().set_head(DATASET, {**kept.value, "min_version": 2, "version": 2}, kept.cas)
    gate.house.sealed.tidy()
    assert len(_views(gate)) == 1, "a live run reads it"
    gate.house.store.transact(lambda c: chronicle.ask_kill(c, run, "gate", "erased", gate.house.clock()))
    gate.supervision.strike(run)
    until(lambda: row(gate, run).state == "settled")
    gate.house.sealed.tidy()
    assert _views(gate) == [] and files(stored.places.cache) == []


def test_what_was_removed_from_the_store_leaves_the_machine_too(
    stored: World, objects: S3, prefix: str
) -> None:
    gate = stored.gate()
    run_of(gate)
    gate.house.sealed.tidy()
    assert len(_views(gate)) == 1
    objects.root(prefix).store(DATASET).discard("manifests/1.dsse.json")
    gate.house.sealed.tidy()
    assert _views(gate) == []


def test_what_nobody_can_tell_about_stays(stored: World, objects: S3) -> None:
    gate = stored.gate()
    run_of(gate)
    objects.network.answers(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 50)
    gate.house.sealed.tidy()
    assert len(_views(gate)) == 1


def test_tidying_goes_on_after_a_fault_and_ends_when_told() -> None:
    class Broken:
        times = 0

        def tidy(self) -> None:
            self.times += 1
            raise SandboxError("no")

    class Stop:
        def wait(self, seconds: float) -> bool:
            return broken.times == 3

    broken = Broken()
    keep_tidy(broken, Stop())
    assert broken.times == 3


def test_a_bucket_without_a_key_stops_the_gate(world: World, objects: S3, prefix: str) -> None:
    storage = Storage(objects.root(prefix).location)
    world.places.make()
    with pytest.raises(SandboxError) as caught:
        chosen(storage, world.places, world.gate().house.store, world.vault.gate(), world.keys)
    assert caught.value.code == "storage.no_key" and "--storage-keys" in caught.value.mend


def _views(gate: Gate) -> list[str]:
    return [check_id("sha256", view.digest) for view in gate.house.sealed._cache.views()]
