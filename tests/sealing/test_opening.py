"""Every check on opening, by a table: tamper with one thing, and exactly that check refuses."""

import json
import shutil
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.errors import KeyBarred, RollbackDetected, SealBroken, SealError, StatementError, SubjectErased
from sandbox.records import INDEX_KEY, Shard
from sandbox.sealing.head import DatasetHead
from sandbox.sealing.manifest import index_name, keys_name, manifest_name, open_at_head
from sandbox.sealing.reader import SealedDataset, count_data_keys, read_pinned
from sandbox.sealing.records import cipher, open_record, seal_record
from sandbox.sealing.verify import verify_version
from sandbox.statements import Ed25519Signer, sign_envelope, sign_statement
from tests.fakes.corpus import ANNA, BEN, DATASET, RECORDS, World, record


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


# Storage: each entry damages one object.


def flip(place):
    def damage(world: World) -> None:
        row = world.rows()[0]
        offset = {"nonce": 0, "ciphertext": 20, "tag": row.length - 1}[place]
        world.flip(world.shard(0), row.offset + offset)

    return damage


def zero(world):
    row = world.rows()[0]
    world.put(row, bytes(row.length))


def swap(one, other):
    def damage(world: World) -> None:
        rows = world.rows()
        first, second = world.sealed(rows[one]), world.sealed(rows[other])
        assert len(first) == len(second)
        world.put(rows[one], second)
        world.put(rows[other], first)

    return damage


def other_dataset(world):
    """The same ids, keys and lengths, sealed as another dataset."""
    other = World(world.root.parent / "other", keys=world.keys, signer=world.signer, dataset="other")
    other.seal()
    for row, foreign in zip(world.rows(), other.rows(), strict=True):
        world.put(row, other.sealed(foreign))


def old_revision(world):
    """A former revision of the same record, under the same key."""
    row = world.rows()[0]
    wraps = json.loads((world.root / keys_name(1)).read_bytes())
    key = cipher(world.keys.unwrap_data_key(DATASET, ANNA, wraps[ANNA][0]))
    world.put(row, seal_record(RECORDS[0], DATASET, 1, key))


def shard_file(change):
    def damage(world: World) -> None:
        path = world.shard(0)
        data = change(path.read_bytes())
        path.unlink() if data is None else path.write_bytes(data)

    return damage


def file_bit(name):
    return lambda world: world.flip(world.root / name, 40)


def drop(name):
    return lambda world: (world.root / name).unlink()


def link_out(world):
    path = world.shard(0)
    moved = path.rename(world.root / "elsewhere")
    path.symlink_to(moved)


def swap_wraps(wraps):
    return {**wraps, ANNA: wraps[BEN], BEN: wraps[ANNA]}


def unsigned_swapped_wraps(world):
    path = world.root / keys_name(1)
    path.write_text(json.dumps(swap_wraps(json.loads(path.read_bytes()))))


def copy_old(name):
    """Seal again, then put version 1's object under version 2's name."""

    def damage(world: World) -> None:
        world.seal([record("u9", ANNA)])
        shutil.copy(world.root / name(1), world.root / name(2))

    return damage


def whole_old_snapshot(world):
    shutil.copytree(world.root, world.root.with_name("old"))
    world.seal([record("u9", ANNA)])
    shutil.rmtree(world.root)
    shutil.copytree(world.root.with_name("old"), world.root)


STORAGE = {
    "record, nonce bit": (flip("nonce"), "seal.forged"),
    "record, ciphertext bit": (flip("ciphertext"), "seal.forged"),
    "record, tag bit": (flip("tag"), "seal.tag_differs"),
    "record zeroed": (zero, "seal.tag_differs"),
    "records swapped within a subject": (swap(0, 1), "seal.tag_differs"),
    "records swapped across subjects": (swap(1, 2), "seal.tag_differs"),
    "records swapped across shards": (swap(0, 3), "seal.tag_differs"),
    "records of another dataset with the same ids": (other_dataset, "seal.tag_differs"),
    "old revision put back": (old_revision, "seal.tag_differs"),
    "shard minus one byte": (shard_file(lambda data: data[:-1]), "seal.shard_differs"),
    "shard empty": (shard_file(lambda data: b""), "seal.shard_differs"),
    "shard with garbage appended": (shard_file(lambda data: data + b"x"), "seal.shard_differs"),
    "shard deleted": (shard_file(lambda data: None), "seal.object_missing"),
    "shard is a link": (link_out, "seal.shard_differs"),
    "index bit": (file_bit(index_name(1)), "seal.index_differs"),
    "index missing": (drop(index_name(1)), "seal.object_missing"),
    "old index under a new name": (copy_old(index_name), "seal.index_differs"),
    "keys bit": (file_bit(keys_name(1)), "seal.keys_differ"),
    "keys missing": (drop(keys_name(1)), "seal.object_missing"),
    "old keys under a new name": (copy_old(keys_name), "seal.keys_differ"),
    "wraps swapped, unsigned": (unsigned_swapped_wraps, "seal.keys_differ"),
    "manifest bit": (file_bit(manifest_name(1)), "seal.manifest_differs"),
    "manifest missing": (drop(manifest_name(1)), "seal.rollback"),
    "manifest empty": (lambda w: (w.root / manifest_name(1)).write_bytes(b""), "seal.manifest_differs"),
    "old manifest under a new name": (copy_old(manifest_name), "seal.manifest_differs"),
    "whole old snapshot": (whole_old_snapshot, "seal.rollback"),
}


@pytest.mark.parametrize(("damage", "code"), STORAGE.values(), ids=STORAGE)
def test_damaged_storage_is_refused(world, damage, code):
    damage(world)
    with pytest.raises(SealError) as caught:
        world.read_all()
    assert caught.value.code == code


# Signed lies: the custodian's key signs something that must not be opened all the same.


def manifest(**changes):
    return lambda world: world.sign(replace(world.manifest(), **changes))


def rows(change):
    return lambda world: world.sign_rows(change)


def at(number, **changes):
    return lambda held: [replace(row, **changes) if n == number else row for n, row in enumerate(held)]


def pinned_wraps(world):
    return read_pinned(world.folder, world.manifest())[0]


def double_shard(world):
    held = world.manifest()
    world.sign(replace(held, shards=(held.shards[0], held.shards[0])))


def overlap(held):
    return [replace(held[0], offset=held[1].offset - 1), *held[1:]]


SIGNED = {
    "another dataset": (manifest(dataset="other"), "seal.manifest_differs"),
    "unknown format": (manifest(format="sealed/0"), "seal.format_unknown"),
    "newer format than the reader": (manifest(min_reader="2"), "seal.format_newer"),
    "min_reader is no number": (manifest(min_reader="x"), "seal.format_newer"),
    "version differs from head": (manifest(version=2), "seal.rollback"),
    "path traversal": (manifest(shards=(Shard("../" * 21 + "x", 1),)), "seal.manifest_invalid"),
    "shard twice": (double_shard, "seal.manifest_invalid"),
    "empty shard": (manifest(shards=(Shard("a" * 64, 0),)), "seal.manifest_invalid"),
    "subject twice": (manifest(subjects=(ANNA, ANNA, BEN)), "seal.manifest_invalid"),
    "subject with another case": (manifest(subjects=(ANNA, "SPK_ben0")), "seal.manifest_invalid"),
    "subject is also a tombstone": (manifest(tombstones=(ANNA,)), "seal.manifest_invalid"),
    "keys of other subjects": (manifest(key_versions={INDEX_KEY: 1}), "seal.manifest_invalid"),
    "fewer records counted": (manifest(records=3), "seal.broken"),
    "wraps swapped": (lambda w: w.sign_keys(swap_wraps(pinned_wraps(w))), "seal.broken"),
    "a subject without wrap": (lambda w: w.sign_keys({**pinned_wraps(w), ANNA: []}), "seal.keys_invalid"),
    "a stranger's wrap": (
        lambda w: w.sign_keys({**pinned_wraps(w), "spk_x0": ["vault:v1:"]}),
        "seal.keys_invalid",
    ),
    "offset overflows the shard": (rows(at(0, offset=1 << 40)), "seal.index_invalid"),
    "length overflows the shard": (rows(at(0, length=1 << 20)), "seal.index_invalid"),
    "length above any record": (rows(at(0, length=1 << 30)), "seal.index_invalid"),
    "records overlap": (rows(overlap), "seal.index_invalid"),
    "shard number too high": (rows(at(0, shard=2)), "seal.index_invalid"),
    "negative offset": (rows(at(0, offset=-1)), "seal.index_invalid"),
    "key number too high": (rows(at(0, key=1)), "seal.index_invalid"),
    "duplicate record": (rows(lambda held: [*held, held[0]]), "seal.index_invalid"),
    "record of nobody": (rows(at(0, subject="spk_nobody")), "seal.index_invalid"),
    "record id collides by case": (rows(at(0, record="U1")), "seal.index_invalid"),
    "record id is not ASCII": (rows(at(0, record="u１")), "seal.index_invalid"),
    "short tag": (rows(at(0, tag=b"x")), "seal.index_invalid"),
    "another revision": (rows(at(0, revision=2)), "seal.forged"),
    "tag pin of another record": (rows(at(0, tag=bytes(16))), "seal.tag_differs"),
}


@pytest.mark.parametrize(("lie", "code"), SIGNED.values(), ids=SIGNED)
def test_a_signed_lie_is_refused(world, lie, code):
    lie(world)
    with pytest.raises(SealError) as caught:
        world.read_all()
    assert caught.value.code == code


def test_the_statement_must_list_the_objects_that_the_manifest_pins(world):
    held = world.manifest()
    envelope = sign_statement("manifest", [("x", "b" * 64)], held.to_predicate(), [world.signer])
    (world.root / manifest_name(1)).write_bytes(envelope)
    from sandbox.statements import sha256

    world.head.head = DatasetHead(1, sha256(envelope))
    with pytest.raises(SealBroken, match="signs other objects"):
        world.open()


SIGNERS = {
    "a stranger": lambda w: w.sign(w.manifest(), Ed25519Signer(Ed25519PrivateKey.generate())),
    "another statement of the custodian": lambda w: w.sign(w.manifest(), name="dataset"),
    "keys signed by a stranger": lambda w: w.sign_keys(
        swap_wraps(pinned_wraps(w)), Ed25519Signer(Ed25519PrivateKey.generate())
    ),
}


@pytest.mark.parametrize("forge", SIGNERS.values(), ids=SIGNERS)
def test_only_the_custodians_manifest_opens(world, forge):
    forge(world)
    with pytest.raises(StatementError):
        world.open()


@pytest.mark.parametrize("case", ["no signature", "other payload type"])
def test_an_envelope_of_another_shape_does_not_open(world, case):
    from sandbox.statements import INTOTO, make_statement, sha256

    held = world.manifest()
    payload = make_statement("manifest", [], held.to_predicate())
    envelope = (
        sign_envelope(INTOTO, payload, [])
        if case == "no signature"
        else sign_envelope("application/json", payload, [world.signer])
    )
    (world.root / manifest_name(1)).write_bytes(envelope)
    world.head.head = DatasetHead(1, sha256(envelope))
    with pytest.raises(StatementError):
        world.open()


def test_a_rotated_signer_is_not_trusted(world):
    stranger = Ed25519Signer(Ed25519PrivateKey.generate())
    with pytest.raises(StatementError):
        open_at_head(world.folder, DATASET, world.head.head, [stranger.public])


def test_a_grant_for_another_digest_opens_nothing(world):
    with pytest.raises(SealBroken) as caught:
        SealedDataset.open(
            world.root,
            dataset=DATASET,
            manifest_digest="0" * 64,
            keys=[world.signer.public],
            keyring=world.keys,
        )
    assert caught.value.code == "seal.manifest_missing"


def test_a_version_below_the_lowest_is_refused(world):
    world.head.head = replace(world.head.head, version=1, min_version=2)
    with pytest.raises(RollbackDetected):
        world.open()


def test_a_head_below_its_own_lowest_version_is_no_head():
    with pytest.raises(RollbackDetected):
        DatasetHead.from_json({"version": 1, "manifest": "a" * 64, "min_version": 2})


# The tag pin and the additional data: either alone stops a swap.


def world_cipher(world, subject):
    return cipher(world.keys.unwrap_data_key(DATASET, subject, pinned_wraps(world)[subject][0]))


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


# Keys


def test_an_erased_subject_is_erased_and_nothing_else(world):
    held = world.manifest()
    world.sign(replace(held, tombstones=("spk_gone",)))
    with pytest.raises(SubjectErased):
        world.open(["spk_gone"])


@pytest.mark.parametrize("subject", [ANNA, INDEX_KEY])
def test_a_lost_key_stops_the_run(world, subject):
    world.keys.destroy(DATASET, subject)
    with pytest.raises(SealError) as caught:
        world.open()
    assert caught.value.code == "seal.key_missing"


def test_a_barred_subject_stops_before_step_0(world):
    world.keys.barred.add(BEN)
    with pytest.raises(KeyBarred):
        world.open()
    assert len(world.open([ANNA]).rows) == 2


def test_a_data_key_of_another_length_is_none(world):
    world.keys.unwrap_data_key = lambda *_: b"short"
    with pytest.raises(SealBroken) as caught:
        world.open()
    assert caught.value.code == "seal.key_invalid"


@pytest.mark.parametrize("subjects", [[], ["spk_nobody"]])
def test_nobody_is_no_list_of_subjects(world, subjects):
    with pytest.raises(SealBroken):
        world.open(subjects)


# After opening


@pytest.mark.parametrize("change", [lambda data: data[:600], lambda data: None], ids=["shrinks", "vanishes"])
def test_a_shard_that_changes_after_opening_is_named(world, change):
    opened = world.open()
    shard_file(change)(world)
    with pytest.raises(SealBroken):
        opened.read("u1")


def test_verify_hashes_every_byte_without_a_key(world):
    opened = open_at_head(world.folder, DATASET, world.head.head, [world.signer.public])
    assert verify_version(world.folder, opened).shards == 2
    world.flip(world.shard(1), 0)  # a tar header: the reader never looks at it, verify does
    assert world.read_all() == RECORDS
    with pytest.raises(SealBroken, match="not what was signed"):
        verify_version(world.folder, opened)
