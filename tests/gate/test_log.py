"""The log grows with each act, is signed, and its mark in Vault notices a database that went back."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from sandbox import audit
from sandbox.errors import EvidenceMismatch, Unreachable
from sandbox.gate.database import tables
from sandbox.gate.ledger import log, mark, signed_mark

pytestmark = pytest.mark.both_databases


def write(gate, *kinds: str) -> None:
    now = gate.house.clock()
    for kind in kinds:
        gate.house.store.transact(lambda c, k=kind: log.append(c, k, now, "b.operator", about="x"))


def checkpoint(gate) -> bytes:
    house = gate.house
    return log.checkpoint(house.store, house.vault.signer, house.clock())


def test_an_entry_is_canonical_and_numbered_without_a_gap(gate):
    before = len(gate.house.store.read(log.entries))
    write(gate, "a", "b")
    entries = gate.house.store.read(log.entries)
    assert json.loads(entries[-1]) == {
        "about": "x",
        "at": "2026-11-24T12:00:00Z",
        "by": "b.operator",
        "kind": "b",
    }
    shown = gate.house.store.read(lambda c: log.shown(c, before - 1, 10))
    assert [(entry["index"], entry["kind"]) for entry in shown] == [(before, "a"), (before + 1, "b")]
    assert gate.house.store.read(log.leaves) == [audit.leaf_hash(entry) for entry in entries]


def test_an_entry_belongs_to_the_transaction_of_its_act(gate):
    before = gate.house.store.read(log.entries)

    def fails(connection) -> None:
        log.append(connection, "act", gate.house.clock(), "gate")
        raise EvidenceMismatch("it did not happen")

    with pytest.raises(EvidenceMismatch):
        gate.house.store.transact(fails)
    assert gate.house.store.read(log.entries) == before


def test_a_checkpoint_covers_everything_and_is_signed_once_a_size(world, gate):
    write(gate, "a")
    note = checkpoint(gate)
    assert checkpoint(gate) == note
    write(gate, "b")
    notes = [note, checkpoint(gate)]
    report = audit.verify_log(gate.house.store.read(log.entries), notes, log.ORIGIN, world.keys("gate"))
    assert report.intact and report.covered == report.entries


def test_without_vault_the_log_stands_without_a_new_checkpoint(gate):
    def nobody():
        raise Unreachable("Vault does not answer")

    write(gate, "a")
    with pytest.raises(Unreachable):
        log.checkpoint(gate.house.store, nobody, gate.house.clock())
    assert not gate.house.store.read(lambda c: c.execute(sa.select(tables.checkpoints)).all())


def test_the_mark_follows_the_log(gate):
    mark.raise_mark(gate.house)
    write(gate, "a")
    mark.check_mark(gate.house)
    mark.raise_mark(gate.house)
    assert signed_mark.read(gate.house, mark.NAME).said["size"] == len(gate.house.store.read(log.entries))


def forget_last(connection) -> None:
    last = connection.execute(sa.select(sa.func.max(tables.log.c.index))).scalar()
    connection.execute(tables.log.delete().where(tables.log.c.index == last))


def change_first(connection) -> None:
    connection.execute(tables.log.update().where(tables.log.c.index == 0).values(leaf=bytes(32)))


@pytest.mark.parametrize("change", [forget_last, change_first], ids=["rolled back", "rewritten"])
def test_another_database_than_the_marked_one_is_refused(gate, change):
    write(gate, "a", "b")
    mark.raise_mark(gate.house)
    gate.house.store.transact(change)
    for act in (mark.check_mark, mark.raise_mark):
        with pytest.raises(EvidenceMismatch) as fault:
            act(gate.house)
        assert fault.value.code == "ledger.rolled_back"


def test_a_restored_copy_that_went_another_way_is_refused(gate):
    write(gate, "a")
    mark.raise_mark(gate.house)
    gate.house.store.transact(forget_last)
    write(gate, "b")
    with pytest.raises(EvidenceMismatch):
        mark.check_mark(gate.house)
