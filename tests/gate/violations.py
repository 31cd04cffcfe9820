"""Every way to break an invariant: a world, a lie planted in it, and the words by which it must be named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sandbox import audit
from sandbox.custodian.consent import withdraw_consent
from sandbox.gate.database import tables
from sandbox.gate.gate import Gate
from sandbox.gate.ledger import high_water, mark
from sandbox.gate.ledger.invariants import broken
from sandbox.gate.runs import chronicle, leases
from sandbox.isolation.launcher_client import Found
from sandbox.runs import RunState
from sandbox.statements import sha256
from tests.fakes.erasing import erase
from tests.fakes.studio import STEWARD
from tests.gate.world import ANNA, DATASET, World, admit


@dataclass
class House:
    """A gate whose past holds a finished run, one that failed with something in quarantine, and one that was killed."""

    world: World
    gate: Gate

    def write(self, statement: Any) -> None:
        self.gate.house.store.transact(lambda c: c.execute(statement))

    def rows(self, table: sa.Table, **where: Any) -> list[Any]:
        asked = sa.select(table).where(*(table.c[name] == value for name, value in where.items()))
        return self.gate.house.store.read(lambda c: c.execute(asked).all())

    def run(self, outcome: str) -> str:
        return str(self.rows(tables.runs, outcome=outcome)[0].id)

    def artifact(self) -> Path:
        return self.gate.house.places.artifact(self.rows(tables.artifacts, state="signed")[0].sha256)

    def broken(self) -> list[str]:
        return broken(self.gate.house)


# 1. Credentials


def _credential(house: House, run: str, **changes: Any) -> None:
    wrap = house.gate.house.vault.new_artifact_key("dsa-2026-0001", "r-9999", "x.json", 60)
    values = {"accessor": wrap.accessor, "run": run, "kind": "artifact", "path": "", "audit_hash": "h"}
    values |= {"created_at": "", "expires_at": "2026-11-24T13:00:00Z", "dead_at": "2026-11-24T12:00:00Z"}
    house.write(tables.credentials.insert().values(**{**values, **changes}))


def _live_credential(house: House) -> None:
    _credential(house, house.run("finished"))


def _unproved_credential(house: House) -> None:
    _credential(house, house.run("finished"), accessor="gone", dead_at=None)


def _credential_past_its_life(house: House) -> None:
    run = admit(house.gate)
    _credential(house, run, expires_at="2026-11-24T11:59:59Z", dead_at=None)


# 2. Containers


def _container_of_nobody(house: House) -> None:
    house.world.engine.list = lambda: [Found("r-9999", "id", 1)]  # type: ignore[method-assign]


def _container_of_a_settled_run(house: House) -> None:
    run = house.run("finished")
    house.world.engine.list = lambda: [Found(run, "id", 1)]  # type: ignore[method-assign]


def _run_without_a_container(house: House) -> None:
    """Its supervisor died with the container, and nobody took it over."""
    _in_training(house)
    house.write(tables.leases.update().values(until=0.0))


def _in_training(house: House) -> None:
    """A run whose log and ledger agree, and that nothing runs."""
    run = admit(house.gate)
    store, now = house.gate.house.store, house.gate.house.clock()
    lease = store.transact(lambda c: leases.take(c, run, "here:a", 2e9, alone=True))
    for state in ("prepared", "minted", "started", "ordered", "unlocked", "training"):
        store.transact(lambda c, s=state: chronicle.advance(c, lease, RunState(s), now))


# 3. Doors


def _door_of_nobody(house: House) -> None:
    house.gate.house.places.door("r-9999").mkdir()


def _door_of_a_settled_run(house: House) -> None:
    house.gate.house.places.door(house.run("finished")).mkdir()


# 4. Decrypts


def _decrypt_of_no_grant(house: House) -> None:
    line = {"type": "response", "time": "2026-11-24T12:00:00Z", "auth": {"metadata": {"grant_id": "g-9999"}}}
    line |= {"request": {"path": f"subjects/decrypt/{DATASET}.{ANNA}"}, "response": {}}
    file = house.gate.house.places.vault_audit
    file.parent.mkdir()
    file.write_text(json.dumps(line) + "\n")


# 5. The log


def _row_without_entry(table: sa.Table, **values: Any) -> Callable[[House], None]:
    def plant(house: House) -> None:
        house.write(table.insert().values(**values))

    return plant


def _decision_forgotten(house: House) -> None:
    house.write(tables.decisions.delete().where(tables.decisions.c.run == house.run("killed")))


def _decision_turned(house: House) -> None:
    house.write(tables.decisions.update().values(permitted=False))


def _killed_without_an_entry(house: House) -> None:
    run = admit(house.gate)
    house.write(tables.runs.update().where(tables.runs.c.id == run).values(kill="quietly"))


def _moved_without_an_entry(house: House) -> None:
    run = admit(house.gate)
    house.write(tables.runs.update().where(tables.runs.c.id == run).values(state="prepared"))


def _event_rewritten(house: House) -> None:
    house.write(
        tables.events.update()
        .where(tables.events.c.kind == "state")
        .values(data={"state": "settled", "log_entry": 0})
    )


def _entry_lost(house: House) -> None:
    house.write(tables.log.delete().where(tables.log.c.index == 3))


def _entry_rewritten(house: House, *, leaf: bool) -> None:
    row = house.rows(tables.log)[0]
    other = row.entry.replace(b"2026", b"2025", 1)
    values = {"entry": other, **({"leaf": audit.leaf_hash(other)} if leaf else {})}
    house.write(tables.log.update().where(tables.log.c.index == 0).values(**values))


def _database_rolled_back(house: House) -> None:
    admit(house.gate)
    mark.raise_mark(house.gate.house)
    last = max(row[0] for row in house.rows(tables.log))
    house.write(tables.log.delete().where(tables.log.c.index == last))


def _statement_lost(house: House) -> None:
    for path in house.gate.house.places.statements.glob("grant-*"):
        path.unlink()


def _statement_replaced(house: House) -> None:
    one, other, *_ = sorted(house.gate.house.places.statements.glob("grant-*"))
    one.write_bytes(other.read_bytes())


def _tainted_without_an_entry(house: House) -> None:
    house.write(tables.models.update().values(taint="quietly"))


# 6. The ledger


def _reservation_lost(house: House) -> None:
    rows = tables.budget
    house.write(rows.delete().where(rows.c.run == house.run("finished"), rows.c.kind == "reserved"))


def _charge_turned_into_a_release(house: House) -> None:
    rows = tables.budget
    house.write(
        rows.update()
        .where(rows.c.run == house.run("failed"), rows.c.kind == "charged")
        .values(kind="released")
    )


def _charged_and_released(house: House) -> None:
    values = {"run": house.run("finished"), "kind": "released", "dataset": DATASET, "subject": ANNA, "at": ""}
    house.write(tables.budget.insert().values(**values))


def _settled_before_its_end(house: House) -> None:
    values = {"run": admit(house.gate), "kind": "charged", "dataset": DATASET, "subject": ANNA, "at": ""}
    house.write(tables.budget.insert().values(**values))


def _above_the_cap(house: House) -> None:
    house.write(tables.budget.update().values(sigma=2.0, sample_rate=1.0, steps=5, epsilon=4.0, delta=1e-5))


def _act_rewritten(house: House) -> None:
    house.write(tables.ledger.update().where(tables.ledger.c.seq == 1).values(digest="0" * 64))


def _ledger_rolled_back(house: House) -> None:
    """The newest run's rows and acts are gone, together, as in an older database."""
    run = admit(house.gate)
    high_water.cover(house.gate.house, DATASET)
    for table in (tables.budget, tables.ledger):
        house.write(table.delete().where(table.c.run == run))


# 7. Sealed bytes


def _bytes_in_clear(house: House) -> None:
    house.gate.house.places.artifact("a" * 64).write_bytes(b"a voice")


def _bytes_of_nobody(house: House) -> None:
    """Properly sealed, and no run's."""
    data = house.artifact().read_bytes()[:-1] + b"x"
    house.gate.house.places.artifact(sha256(data)).write_bytes(data)


def _bytes_changed(house: House) -> None:
    path = house.artifact()
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def _bytes_lost(house: House) -> None:
    house.artifact().unlink()


def _bytes_unsigned(house: House) -> None:
    house.write(
        tables.artifacts.update().where(tables.artifacts.c.state == "signed").values(statement="f" * 64)
    )


def _bytes_out_of_quarantine(house: House) -> None:
    (path,) = house.gate.house.places.quarantined("").iterdir()
    path.rename(house.gate.house.places.artifact(path.name))


def _stranger_in_quarantine(house: House) -> None:
    house.gate.house.places.quarantined("b" * 64).write_bytes(b"a voice")


# 8. What is settled


def _settled(**changes: Any) -> Callable[[House], None]:
    def plant(house: House) -> None:
        house.write(tables.runs.update().where(tables.runs.c.id == house.run("finished")).values(**changes))

    return plant


# 9. Models


def _model_of(outcome: str) -> Callable[[House], None]:
    def plant(house: House) -> None:
        values = {
            "name": "hum",
            "version": 9,
            "run": house.run(outcome),
            "path": "x",
            "sha256": "c" * 64,
            "at": "",
        }
        house.write(tables.models.insert().values(**values))

    return plant


# 10. Erased data subjects


def _erased_and_not_tainted(house: House) -> None:
    erase(house.world.desk, STEWARD, ANNA, DATASET)


def _withdrawn_and_not_marked(house: House) -> None:
    withdraw_consent(house.world.desk, STEWARD, DATASET, ANNA)


def _registers_tampered(house: House) -> None:
    (house.gate.house.places.registers / "people" / "1.dsse.json").unlink()


PLANTED: dict[str, tuple[str, Callable[[House], None], str]] = {
    "a live credential": ("1", _live_credential, "is alive while it is settled"),
    "an unproved death": ("1", _unproved_credential, "was never proved dead"),
    "a credential past its life": ("1", _credential_past_its_life, "is alive while it is admitted"),
    "a container of nobody": ("2", _container_of_nobody, "the run is unknown"),
    "a container of a settled run": ("2", _container_of_a_settled_run, "the run is settled"),
    "a run without a container": ("2", _run_without_a_container, "nobody supervises it"),
    "a door of nobody": ("3", _door_of_nobody, "the run is unknown"),
    "a door of a settled run": ("3", _door_of_a_settled_run, "the run is settled"),
    "a decrypt of no grant": ("4", _decrypt_of_no_grant, "under no grant"),
    "a decision forgotten": ("5", _decision_forgotten, "the log tells of the decision"),
    "a decision turned": ("5", _decision_turned, "is not in the log"),
    "a kill without an entry": ("5", _killed_without_an_entry, "the kill r-"),
    "a step without an entry": ("5", _moved_without_an_entry, "the log tells admitted"),
    "an event rewritten": ("5", _event_rewritten, "tell different states"),
    "an entry lost": ("5", _entry_lost, "entry 3 of the log is missing"),
    "an entry rewritten": ("5", lambda h: _entry_rewritten(h, leaf=False), "its leaf is another's"),
    "an entry and its leaf rewritten": ("5", lambda h: _entry_rewritten(h, leaf=True), "was changed"),
    "a database rolled back": ("5", _database_rolled_back, "is not the one that logged"),
    "a statement lost": ("5", _statement_lost, "is gone, or is another"),
    "a statement replaced": ("5", _statement_replaced, "is gone, or is another"),
    "a taint without an entry": ("5", _tainted_without_an_entry, "the taint hum@1 quietly"),
    "a mark without an entry": (
        "5",
        _row_without_entry(tables.withdrawals, model="hum@1", dataset=DATASET, subject=ANNA, at=""),
        "the withdrawal hum@1",
    ),
    "an incident without an entry": (
        "5",
        _row_without_entry(
            tables.incidents, id="i-9999", kind="asked", scope="all", detail={}, timeline=[], by="x", at=""
        ),
        "the incident i-9999",
    ),
    "an approval without an entry": (
        "5",
        _row_without_entry(tables.postings, register="people", seq=99, digest="d" * 64),
        "the register's entry people 99",
    ),
    "a recipe without an entry": (
        "5",
        _row_without_entry(tables.recipes, digest="e" * 64, name="x", submitted_by="x", at=""),
        "the recipe",
    ),
    "a reservation lost": ("6", _reservation_lost, "reserved and charged"),
    "a charge turned into a release": ("6", _charge_turned_into_a_release, "reserved and charged"),
    "charged and released": ("6", _charged_and_released, "reserved and charged"),
    "settled before its end": ("6", _settled_before_its_end, "does not hold reserved"),
    "above the cap": ("6", _above_the_cap, "the cap is 8"),
    "an act rewritten": ("6", _act_rewritten, "is not what was entered"),
    "a ledger rolled back": ("6", _ledger_rolled_back, "is not the one that had 7 entries"),
    "bytes in clear": ("7", _bytes_in_clear, "it is not sealed"),
    "bytes of nobody": ("7", _bytes_of_nobody, "of no run is kept"),
    "bytes changed": ("7", _bytes_changed, "others than its name says"),
    "bytes lost": ("7", _bytes_lost, "is signed for, and is gone"),
    "bytes unsigned": ("7", _bytes_unsigned, "neither signed for nor in quarantine"),
    "bytes out of quarantine": ("7", _bytes_out_of_quarantine, "neither signed for nor in quarantine"),
    "a stranger in quarantine": ("7", _stranger_in_quarantine, "no run sent it"),
    "another outcome": ("8", _settled(outcome="failed"), "it was settled as finished, and now is failed"),
    "another epsilon": ("8", _settled(epsilon=0.1), "changed since: epsilon"),
    "another person": ("8", _settled(person="eng.wu"), "changed since: person"),
    "another statement": ("8", _settled(statement="f" * 64), "the statement that settled it is gone"),
    "a model of a failed run": ("9", _model_of("failed"), "was failed"),
    "a model of a killed run": ("9", _model_of("killed"), "was killed"),
    "erased and not tainted": ("10", _erased_and_not_tainted, "is not tainted"),
    "withdrawn and not marked": ("10", _withdrawn_and_not_marked, "who withdrew, and is not marked"),
    "registers tampered with": ("10", _registers_tampered, "cannot be told"),
}
