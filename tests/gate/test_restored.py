"""Storage, database and MLflow restored from before an erasure bring no voice back; an old ledger is noticed."""

from __future__ import annotations

import copy
import json
import shutil

import pytest

from sandbox.errors import EvidenceMismatch, NotFound, Refused, SealError
from sandbox.gate.database.tables import log as entries
from sandbox.gate.ledger import mark
from sandbox.sealing.manifest import open_granted
from sandbox.sealing.reader import open_version, read_wraps
from tests.fakes.erasing import erase
from tests.fakes.studio import STEWARD
from tests.gate.world import ANNA, DATASET, admit, run_of
from tests.gate.world import request as asking

ROOMS = ("custodian/sealed", "gate/private")


@pytest.fixture(params=["over what is there", "in its place"])
def backup(request, world, gate, tmp_path):
    """Everything but Vault and the registers as it was before the erasure; then the erasure, and it is all put back."""
    run_of(gate)
    gate.house.store.close()
    for room in ROOMS:
        shutil.copytree(world.state / room, tmp_path / room)
    tracking, before = copy.deepcopy(world.tracking), world.desk.manifest(DATASET)
    wraps = read_wraps(world.desk.folder(DATASET), before.manifest)[ANNA]
    erase(world.desk, STEWARD, ANNA, DATASET)
    later = world.gate()
    run_of(later, asking(subjects=("spk_ben0",)))
    mark.raise_mark(later.house)
    later.house.store.close()
    for room in ROOMS:
        if request.param == "in its place" or room == "gate/private":
            shutil.rmtree(world.state / room)
        shutil.copytree(tmp_path / room, world.state / room, dirs_exist_ok=True)
    world.tracking = tracking
    return before, wraps, request.param


def meant(world) -> None:
    """The note that `sandbox backup restore` leaves."""
    note = {"backup": "a" * 64, "expired": False}
    (world.places.private / "restored.json").write_text(json.dumps(note))


def test_an_older_database_is_refused_unless_the_restore_was_meant(world, backup):
    house = world.gate().house
    with pytest.raises(EvidenceMismatch) as refused:
        mark.check_mark(house)
    assert refused.value.code == "ledger.rolled_back"
    meant(world)
    mark.accept_restored(house)
    mark.check_mark(house)
    last = house.store.read(lambda c: c.execute(entries.select()).all())[-1]
    said = json.loads(last.entry)
    assert said["kind"] == "restored" and said["mark"]["size"] > last.index
    assert not (world.places.private / "restored.json").exists()


def test_another_older_database_is_refused_after_a_restore_that_was_meant(world, backup, tmp_path):
    meant(world)
    house = world.gate().house
    mark.accept_restored(house)
    house.store.close()
    shutil.copytree(tmp_path / "gate/private", world.state / "gate/private", dirs_exist_ok=True)
    with pytest.raises(EvidenceMismatch):
        mark.check_mark(world.gate().house)


def test_the_restored_records_stay_unreadable(world, backup):
    before, wraps, _ = backup
    restored = open_granted(world.desk.folder(DATASET), DATASET, before.digest, world.desk.trusted())
    with pytest.raises((NotFound, SealError)):
        open_version(world.desk.folder(DATASET), restored, Unwrapping(world), [ANNA])
    for wrapped in wraps:
        world.desk.vault.prove_destroyed(DATASET, ANNA, wrapped)


def test_the_run_that_needs_them_is_refused(world, backup):
    meant(world)
    gate = world.gate()
    mark.accept_restored(gate.house)
    with pytest.raises((Refused, SealError)) as refused:
        admit(gate, asking(subjects=(ANNA,)))
    if backup[2] == "in its place":  # the newest version is gone: nothing of the dataset is admitted at all
        assert refused.value.code == "seal.rollback"
    else:
        assert "subject.erased" in {reason.code for reason in refused.value.reasons}


class Unwrapping:
    """A keyring that asks Vault for whatever it is asked for, as a run's would."""

    def __init__(self, world) -> None:
        self._session = world.vault.custodian()

    def unwrap_data_key(self, dataset, subject, wrapped):
        from sandbox.vault.keys import context, data_key_of, key_name

        body = {"ciphertext": wrapped, "context": context(dataset)}
        return data_key_of(self._session._vault.write(f"subjects/decrypt/{key_name(dataset, subject)}", body))

    def unwrap_index_key(self, dataset, wrapped):
        return self.unwrap_data_key(dataset, "_index", wrapped)
