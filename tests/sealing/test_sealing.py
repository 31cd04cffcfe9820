"""Sealing leaves ciphertext only, and until the head moves nothing has happened."""

import resource
import tarfile

import pytest

from sandbox.errors import Conflict, SealBroken, SubjectErased, Unreachable, Usage
from sandbox.sealing import storage
from sandbox.sealing.records import NONCE_BYTES
from sandbox.statements import sha256
from tests.fakes.corpus import ANNA, BEN, CANARY, RECORDS, World, record


class Crash(BaseException):
    """The process is gone: no handler runs."""


def files(world):
    return {path for path in world.root.rglob("*") if path.is_file()}


def test_a_plaintext_canary_is_found_in_no_object(world):
    for path in files(world):
        assert CANARY not in path.read_bytes(), path.name
        assert b"quick" not in path.read_bytes(), path.name


def test_nonces_are_unique(world):
    world.seal([record(f"v{n}", (ANNA, BEN)[n % 2]) for n in range(300)])
    nonces = [world.sealed(row)[:NONCE_BYTES] for row in world.rows()]
    assert len(set(nonces)) == len(nonces) == 304


def test_a_shard_is_a_plain_tar_of_sealed_records(world):
    with tarfile.open(world.shard(0)) as tar:
        assert tar.getnames() == ["u0.sealed", "u1.sealed"]
        body = tar.extractfile("u1.sealed").read()
    assert body == world.sealed(world.rows()[1])


def test_objects_are_named_by_their_content_and_readable_by_the_container(world):
    for path in files(world):
        assert path.stat().st_mode & 0o777 == 0o644
        if path.suffix == ".tar":
            assert sha256(path.read_bytes()) == path.stem


def test_a_second_sealing_adds_with_a_key_of_its_own(world):
    first = world.manifest()
    made = world.seal([record("u9", ANNA)])
    assert made.manifest.previous == sha256((world.root / "manifests/1.dsse.json").read_bytes())
    assert (made.manifest.version, made.added, made.manifest.records) == (2, 1, 5)
    assert made.manifest.shards[: len(first.shards)] == first.shards
    assert [row.key for row in world.rows()] == [0, 0, 0, 0, 1]
    assert world.read_all() == [*RECORDS, record("u9", ANNA)]


REFUSED = {
    "nothing": ([], Usage),
    "a record twice": ([record("v0", ANNA), record("v0", ANNA)], Usage),
    "a record that is there already": ([record("u0", ANNA)], Usage),
    "a record id with a slash": ([record("a/b", ANNA)], Usage),
    "a subject that is a name": ([record("v0", "Anna")], Usage),
    "an enormous record": ([record("v0", ANNA, bytes(65 << 20))], Usage),
}


@pytest.mark.parametrize(("records", "error"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_sealed_changes_nothing(world, records, error):
    before, head = files(world), world.head.head
    with pytest.raises(error):
        world.seal(records)
    assert (files(world), world.head.head) == (before, head)


def test_an_erased_id_is_never_used_again(world):
    from dataclasses import replace

    world.sign(replace(world.manifest(), tombstones=("spk_gone",)))
    with pytest.raises(SubjectErased):
        world.seal([record("v0", "spk_gone")])


def test_two_writers_race_and_one_wins(world):
    def slow():
        yield record("slow", ANNA)
        world.seal([record("fast", BEN)])

    with pytest.raises(Conflict) as caught:
        world.seal(slow())
    assert caught.value.code == "seal.lost_race"
    assert [r.record for r in world.read_all()] == ["u0", "u1", "u2", "u3", "fast"]
    assert world.seal([record("slow", ANNA)]).manifest.records == 6


def test_a_writer_never_replaces_what_another_wrote(world, monkeypatch):
    """Both chose the same number: the second finds the name taken."""
    monkeypatch.setattr("sandbox.sealing.previous.Previous.next_version", lambda self, folder: 1)
    held = (world.root / "index/1.sealed").read_bytes()
    with pytest.raises(Conflict):
        world.seal([record("v0", ANNA)])
    assert (world.root / "index/1.sealed").read_bytes() == held
    assert world.read_all() == RECORDS


def crash_at(monkeypatch, world, moment, fault):
    """Raise ``fault`` at the n-th effect: a write, a publication, a moved head."""
    left = [moment]

    def counted(effect):
        def step(*arguments):
            left[0] -= 1
            if left[0] == 0:
                raise fault
            return effect(*arguments)

        return step

    monkeypatch.setattr(storage.Partial, "write", counted(storage.Partial.write))
    monkeypatch.setattr(storage.Partial, "publish", counted(storage.Partial.publish))
    monkeypatch.setattr(world.head, "move", counted(world.head.move))
    return left


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a crash closes no file
def test_a_crash_at_any_effect_leaves_the_old_version_valid(tmp_path):
    crashed = 0
    for moment in range(1, 100):
        world = World(tmp_path / str(moment))
        world.seal()
        with pytest.MonkeyPatch.context() as patch:
            left = crash_at(patch, world, moment, Crash())
            try:
                world.seal([record("u8", ANNA), record("u9", BEN)])
            except Crash:
                crashed += 1
        if left[0] > 0:
            break
        assert world.read_all() == RECORDS
        world.seal([record("u8", ANNA)])
        assert world.read_all() == [*RECORDS, record("u8", ANNA)]
    assert crashed > 10


@pytest.mark.parametrize("room", [1, 500, 1000, 3000])
def test_a_full_disk_leaves_the_old_version_and_no_litter(world, room):
    """A real fault of the kernel: no file may grow beyond ``room`` bytes."""
    before, (soft, hard) = files(world), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(Unreachable) as caught:
            world.seal([record("u8", ANNA), record("u9", BEN)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.code == "storage.failed"
    assert files(world) == before
    assert world.read_all() == RECORDS


def test_a_head_that_may_have_moved_keeps_its_files(world, monkeypatch):
    """Vault moved the head, but its answer was lost: nothing is removed, and the new version stands."""
    move = world.head.move

    def lost(head, cas):
        move(head, cas)
        raise Unreachable("no answer")

    monkeypatch.setattr(world.head, "move", lost)
    with pytest.raises(Unreachable):
        world.seal([record("u9", ANNA)])
    assert len(world.read_all()) == 5


def test_a_writer_does_not_build_upon_a_damaged_version(world):
    world.flip(world.root / "index/1.sealed", 3)
    with pytest.raises(SealBroken):
        world.seal([record("u9", ANNA)])


@pytest.mark.parametrize("stray", ["keys/999999999.json", "index/10000000000000.sealed"])
def test_a_stray_object_of_an_enormous_version_makes_no_version_that_nobody_finds(world, stray):
    """A manifest's name has nine digits; what is written above that no run would ever open."""
    (world.root / stray).write_bytes(b"x")
    before = world.head.head
    with pytest.raises(SealBroken, match="version"):
        world.seal([record("v900", BEN)])
    assert world.head.head == before and not list(world.root.rglob(".partial*"))
