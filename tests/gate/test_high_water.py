"""The ledger's mark in Vault: an old database is noticed, a foreign mark refused, and no crash in between hurts."""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.errors import Conflict, EvidenceMismatch, Unreachable
from sandbox.gate.database import tables
from sandbox.gate.gate import Gate
from sandbox.gate.ledger import acts, high_water, mark, signed_mark
from sandbox.gate.ledger.acts import Head
from sandbox.gate.ledger.invariants import broken
from sandbox.runs import Privacy
from sandbox.statements import Ed25519Signer, sign_statement
from tests.gate.test_crashes import dies, revive
from tests.gate.world import ANNA, DATASET, World, admit, ended, request, row, run_of

PRIVATE = Privacy("speaker", 4.0, 1e-5, 1.0, 1.0)


def marked(gate: Gate) -> Head:
    said = signed_mark.read(gate.house, DATASET).said
    return Head(said.get("acts", 0), said.get("chain", ""))


def head(gate: Gate) -> Head:
    return gate.house.store.read(lambda c: acts.newest(c, DATASET))


def database(world: World) -> Path:
    return world.places.private / "gate.db"


def copied_aside(world: World, to: Path) -> Path:
    """The database as a backup of SQLite's own would take it."""
    with sqlite3.connect(database(world)) as source, sqlite3.connect(to) as target:
        source.backup(target)
    return to


def put_back(world: World, kept: Path) -> Gate:
    """The old file where the database was, and a gate that starts on it."""
    for gate in world.gates:
        gate.house.store.close()
    for name in ("gate.db", "gate.db-wal", "gate.db-shm"):
        (world.places.private / name).unlink(missing_ok=True)
    shutil.copy(kept, database(world))
    return world.gate()


def test_a_reservation_is_marked_before_anything_of_the_run_is_made(world):
    """The gate dies right after the mark was written: no grant, no staged file, no container, no credential."""
    dies(world, "after vault.write_budget")
    gate = world.gate()
    assert marked(gate) == head(gate) == gate.house.store.read(lambda c: acts.at(c, DATASET, 1))
    assert marked(gate).acts == 1
    assert not world.engine.started and not world.tracking.runs
    assert not list(world.places.statements.glob("grant-*"))


def test_a_settled_run_is_marked_with_its_charge(gate):
    run_of(gate)
    assert marked(gate) == head(gate) and head(gate).acts == 2
    high_water.check(gate.house)


@pytest.mark.parametrize("point", ["state admitted", "before vault.write_budget", "after vault.write_budget"])
def test_killed_between_database_and_mark_the_next_gate_covers_it(world, point):
    run = dies(world, point)
    between = world.gate()
    mark.check_mark(between.house)  # the database is ahead, which is no fault
    gate, again = revive(world)
    assert again == run and row(gate, run).outcome == "finished"
    assert marked(gate) == head(gate) and broken(gate.house) == []


@pytest.mark.parametrize("trained", [False, True], ids=["reserved", "charged"])
def test_an_old_database_put_back_is_refused(world, gate, tmp_path, trained):
    """Spent budget does not come back: neither at the start nor, were that passed over, at the next launch."""
    old = copied_aside(world, tmp_path / "old.db")
    run = admit(gate, request(privacy=PRIVATE))
    if trained:
        gate.supervision.begin(run)
        ended(gate, run)
    else:
        high_water.cover(gate.house, DATASET)
    later = put_back(world, old)
    assert later.house.store.read(acts.datasets) == []  # it knows nothing of the dataset's ledger any more
    run = admit(later, request(privacy=PRIVATE))  # and would spend the budget once more
    later.supervision.begin(run)
    found = ended(later, run)
    assert (found.outcome, found.failure) == ("failed", "ledger.rolled_back")
    assert (
        later.house.store.read(lambda c: acts.newest(c, DATASET).acts) == 2
    )  # reserved and released: it never ran
    with pytest.raises(EvidenceMismatch, match=r"ledger of digits is not the one that had . entr") as refused:
        high_water.check(later.house)
    assert refused.value.code == "ledger.rolled_back" and "newest database" in refused.value.mend


def test_a_gate_does_not_start_on_a_database_whose_rows_were_changed(gate):
    run_of(gate, request(privacy=PRIVATE))
    changed = tables.budget.update().where(tables.budget.c.subject == ANNA).values(sigma=50.0)
    gate.house.store.transact(lambda c: c.execute(changed))
    with pytest.raises(EvidenceMismatch) as refused:
        mark.check_mark(gate.house)
    assert refused.value.code == "ledger.altered"


def test_rows_and_acts_rewritten_together_do_not_meet_the_mark(gate):
    """Whoever holds the database can make its chain fit again, and not Vault's."""
    run_of(gate, request(privacy=PRIVATE))

    def rewrite(connection: sa.Connection) -> None:
        connection.execute(tables.budget.update().values(sigma=50.0))
        links = connection.execute(sa.select(tables.ledger).order_by(tables.ledger.c.seq)).mappings().all()
        connection.execute(tables.ledger.delete())
        for act in links:
            asked = sa.select(tables.budget).where(tables.budget.c.kind == act["kind"])
            rows = [dict(found) for found in connection.execute(asked).mappings()]
            acts.enter(connection, DATASET, act["run"], act["kind"], rows)

    gate.house.store.transact(rewrite)
    assert gate.house.store.read(acts.altered) == []
    with pytest.raises(EvidenceMismatch) as refused:
        mark.check_mark(gate.house)
    assert refused.value.code == "ledger.rolled_back"


def _unsigned(world: World, kept: list[dict[str, Any]]) -> dict[str, Any]:
    return {"acts": 0, "chain": ""}


def _by_another_key(world: World, kept: list[dict[str, Any]]) -> dict[str, Any]:
    said = {"acts": 0, "chain": "", "name": DATASET, "version": len(kept) + 1}
    signer = Ed25519Signer(Ed25519PrivateKey.generate())
    envelope = sign_statement(signed_mark.STATEMENT, [(DATASET, "0" * 64)], said, [signer])
    return {"envelope": base64.b64encode(envelope).decode()}


def _an_older_one(world: World, kept: list[dict[str, Any]]) -> dict[str, Any]:
    return kept[0]


def _of_another_name(world: World, kept: list[dict[str, Any]]) -> dict[str, Any]:
    """Signed by the gate itself, for another dataset, at the very number."""
    house = world.gates[-1].house
    for number in range(len(kept) + 1):
        signed_mark.write(house, "others", {"acts": 0, "chain": ""}, number)
    return world.vault.kept["budgets/others"][-1]


def _destroyed(world: World, kept: list[dict[str, Any]]) -> dict[str, Any]:
    return {}


@pytest.mark.parametrize("forge", [_unsigned, _by_another_key, _an_older_one, _of_another_name, _destroyed])
def test_a_mark_that_this_gate_did_not_sign_for_its_place_is_refused(world, gate, forge: Callable[..., Any]):
    run_of(gate)
    kept = world.vault.kept[f"budgets/{DATASET}"]
    assert len(kept) == 2
    kept.append(json.loads(json.dumps(forge(world, kept))))
    for act in (lambda: high_water.cover(gate.house, DATASET), lambda: mark.check_mark(gate.house)):
        with pytest.raises(EvidenceMismatch) as refused:
            act()
        assert refused.value.code == "ledger.mark_forged"
    run = admit(gate)
    gate.supervision.begin(run)
    assert ended(gate, run).failure == "ledger.mark_forged" and len(world.engine.started) == 1


def test_without_vault_nothing_starts_and_the_budget_comes_back(world, gate, monkeypatch):
    class Away:
        def read_budget(self, name):
            raise Unreachable("Vault does not answer")

        def __getattr__(self, name):
            return getattr(vault, name)

    vault = gate.house.vault
    object.__setattr__(gate.house, "vault", Away())
    run = admit(gate, request(privacy=PRIVATE))
    gate.supervision.begin(run)
    found = ended(gate, run)
    assert (found.outcome, world.engine.started) == ("failed", [])
    kinds = gate.house.store.read(lambda c: set(c.execute(sa.select(tables.ledger.c.kind)).scalars()))
    assert kinds == {"reserved", "released"}


@pytest.mark.both_databases
def test_two_gates_that_mark_at_once_end_at_the_same_mark(world, database):
    """Each finds the other's mark in its way once: it looks again, and neither cries wolf."""
    one, other = world.gate(), world.gate(alone=False)
    meet = threading.Barrier(2, timeout=60)
    faults: list[Exception] = []

    def marks(gate: Gate) -> None:
        seen, vault = [], gate.house.vault

        class Meeting:
            def read_budget(self, name):
                found = vault.read_budget(name)
                if not seen:
                    seen.append(name)
                    meet.wait()  # both have read the same number: only one of the writes can go through
                return found

            def __getattr__(self, name):
                return getattr(vault, name)

        object.__setattr__(gate.house, "vault", Meeting())
        try:
            high_water.cover(gate.house, DATASET)
        except Exception as fault:  # noqa: BLE001 - told by the test's own thread
            faults.append(fault)

    admit(one)
    admit(other)
    threads = [threading.Thread(target=marks, args=(gate,)) for gate in (one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    assert marked(one) == head(one) and head(one).acts == 2
    assert len(world.vault.kept[f"budgets/{DATASET}"]) == 1  # the loser found that everything was covered


def test_a_mark_that_others_keep_moving_is_no_reason_to_go_on_for_ever(gate, monkeypatch):
    admit(gate)

    def lost(*_: Any) -> None:
        raise Conflict("another gate was first")

    monkeypatch.setattr(signed_mark, "write", lost)
    with pytest.raises(Conflict) as refused:
        high_water.cover(gate.house, DATASET)
    assert refused.value.code == "ledger.mark_busy"
