"""The database: one promise on SQLite and PostgreSQL; locked, full, damaged, foreign, older or newer it says so."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from sandbox.errors import EvidenceMismatch, SandboxError, Unreachable, Usage
from sandbox.gate.database import engines
from sandbox.gate.database.engines import open_engine
from sandbox.gate.database.store import Store
from sandbox.gate.database.tables import log as entries
from sandbox.gate.ledger import log
from tests.fakes.postgres import fresh
from tests.gate.world import admit, request

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def note(store: Store, text: str = "x") -> int:
    return store.transact(lambda c: log.append(c, "note", NOW, "me", text=text))


def count(store: Store) -> int:
    return store.read(lambda c: c.execute(sa.select(sa.func.count()).select_from(entries)).scalar_one())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gate.db"


@pytest.fixture
def lite(file: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{file}")
    note(store)
    yield store
    store.close()


# One promise


@pytest.mark.both_databases
def test_writers_take_turns_and_lose_nothing(store):
    before, ready = count(store), threading.Barrier(8, timeout=60)
    faults: list[Exception] = []

    def write() -> None:
        ready.wait()
        try:
            for _ in range(10):
                note(store)
        except Exception as fault:  # noqa: BLE001 - told by the test's own thread
            faults.append(fault)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == [] and count(store) == before + 80


@pytest.mark.both_databases
def test_two_stores_on_one_database_take_turns_too(store):
    """As two gates would: each has read the last entry's number before it writes the next."""
    stores, ready = [store, Store(store.engine.url.render_as_string())], threading.Barrier(4, timeout=60)
    before, faults = count(store), list[Exception]()

    def write(mine: Store) -> None:
        ready.wait()
        try:
            for _ in range(10):
                note(mine)
        except Exception as fault:  # noqa: BLE001 - told by the test's own thread
            faults.append(fault)

    threads = [threading.Thread(target=write, args=(stores[n % 2],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    stores[1].close()
    assert faults == [] and count(store) == before + 40


@pytest.mark.both_databases
def test_a_reader_waits_for_no_writer_and_sees_none_of_its_half_done_work(store):
    before = count(store)

    def look(connection: sa.Connection) -> None:
        log.append(connection, "note", NOW, "me")
        assert count(store) == before  # another connection, while this one holds the lock

    store.transact(look)
    assert count(store) == before + 1


@pytest.mark.both_databases
def test_work_that_fails_leaves_nothing(store):
    before = count(store)

    def fails(connection: sa.Connection) -> None:
        log.append(connection, "note", NOW, "me")
        raise KeyError

    with pytest.raises(KeyError):
        store.transact(fails)
    assert count(store) == before
    note(store)


def test_a_reader_of_postgresql_cannot_write(postgres):
    store = Store(fresh(postgres))
    with pytest.raises(Unreachable):
        store.read(lambda c: log.append(c, "note", NOW, "me"))
    store.close()


# Locked


@pytest.mark.both_databases
def test_a_database_that_another_program_holds_is_said_to_be_locked(store, database, monkeypatch):
    monkeypatch.setattr(engines, "BUSY_MS", 100)
    url = store.engine.url.render_as_string()
    hold = "BEGIN IMMEDIATE" if database == "sqlite" else "BEGIN; LOCK TABLE log IN EXCLUSIVE MODE"
    holder, impatient = sa.create_engine(url, isolation_level="AUTOCOMMIT").connect(), Store(url)
    before = count(impatient)
    for statement in hold.split("; "):
        holder.exec_driver_sql(statement)
    with pytest.raises(Unreachable) as refused:
        note(impatient)
    assert refused.value.code == "store.locked" and "ask again" in refused.value.mend
    assert count(impatient) == before  # and reading goes on
    holder.exec_driver_sql("ROLLBACK")
    note(impatient)
    assert count(impatient) == before + 1
    impatient.close()
    holder.close()
    holder.engine.dispose()


def test_a_thread_that_waits_too_long_for_its_turn_is_told_the_same(lite, monkeypatch):
    monkeypatch.setattr(engines, "BUSY_MS", 50)
    with lite._in_turn(), pytest.raises(Unreachable) as refused:
        note(lite)
    assert refused.value.code == "store.locked"


# Full


def test_a_full_disk_refuses_the_write_and_the_gate_goes_on_when_there_is_room(lite):
    """SQLite answers ENOSPC and its own limit of pages with the same code (SQLITE_FULL)."""

    def limit(pages: int) -> None:
        with lite.engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    limit(1)  # it is as large as it may be
    before = count(lite)
    with pytest.raises(Unreachable) as refused:
        note(lite, "x" * 200_000)
    assert refused.value.code == "store.full" and "make room" in refused.value.mend
    assert count(lite) == before
    limit(1 << 30)
    note(lite, "x" * 200_000)
    assert count(lite) == before + 1


def test_on_a_full_disk_a_decision_is_refused_and_nothing_of_it_stands(gate):
    store = gate.house.store
    admit(gate)
    before = count(store)
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1")
    asked = request(parameters={}, subjects=None)
    refused: SandboxError | None = None
    for _ in range(200):  # what room is left on its last page may do for some more
        try:
            gate.admission.ask(asked, "eng.li", only_decide=True)
        except Unreachable as fault:
            refused = fault
            break
        before = count(store)
    assert refused is not None and refused.code == "store.full"
    assert count(store) == before
    with store.engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count={1 << 30}")
    gate.admission.ask(asked, "eng.li", only_decide=True)


# Damaged, or no database at all


def test_a_damaged_database_stops_the_gate_with_one_message(file, lite):
    for n in range(300):
        note(lite, "x" * 400 + str(n))
    lite.close()
    sqlite3.connect(file).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
    data = bytearray(file.read_bytes())
    assert len(data) > 20 * 4096
    data[8 * 4096 : 12 * 4096] = b"\xff" * (4 * 4096)
    file.write_bytes(data)
    with pytest.raises(Unreachable) as refused:
        Store(f"sqlite:///{file}")
    assert refused.value.code == "store.corrupted" and "sandbox backup restore" in refused.value.mend


@pytest.mark.parametrize("data", [b"not a database at all, " * 500, b"\0" * 8192], ids=["text", "zeros"])
def test_what_is_no_database_stops_the_gate_with_one_message(file, data):
    file.write_bytes(data)
    with pytest.raises(Unreachable) as refused:
        Store(f"sqlite:///{file}")
    assert refused.value.code == "store.corrupted" and "\n" not in refused.value.message
    assert file.read_bytes() == data


def test_damage_that_shows_later_is_told_the_same_way(file, lite):
    for n in range(300):
        note(lite, "x" * 400 + str(n))
    lite.close()
    with open(file, "r+b") as damaged:
        damaged.seek(4096)
        damaged.write(b"\xff" * (file.stat().st_size - 4096))
    with pytest.raises(Unreachable) as refused:
        lite.read(log.entries)
    assert refused.value.code == "store.corrupted"


def test_a_directory_that_is_gone_is_unreachable(tmp_path):
    with pytest.raises(Unreachable) as refused:
        Store(f"sqlite:///{tmp_path}/gone/gate.db")
    assert refused.value.code == "store.unreachable"


def test_a_server_that_does_not_answer_is_unreachable(tmp_path):
    with pytest.raises(Unreachable) as refused:
        Store(f"postgresql+psycopg:///gate?host={tmp_path}")
    assert refused.value.code == "store.unreachable"


def test_a_fault_of_ours_stays_what_it_is(lite):
    with pytest.raises(sa.exc.IntegrityError):
        lite.transact(lambda c: c.execute(entries.insert().values(index=0, entry=b"", leaf=b"")))


# Versions


@pytest.mark.both_databases
def test_a_database_of_a_later_version_stops_the_gate_with_one_line(store):
    later = "UPDATE alembic_version SET version_num = '9999'"
    store.transact(lambda c: c.exec_driver_sql(later))
    with pytest.raises(EvidenceMismatch) as refused:
        Store(store.engine.url.render_as_string())
    assert refused.value.code == "store.newer"
    assert "revision 9999" in refused.value.message and "\n" not in refused.value.message


# The address


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql+psycopg://gate:secret@db/gate", "a password"),
        ("postgresql+psycopg://db/gate?password=secret", "a password"),
        ("postgresql://db/gate", "sqlite or postgresql"),
        ("mysql://db/gate", "sqlite or postgresql"),
        ("nonsense", "cannot be read"),
    ],
)
def test_an_address_with_a_password_or_of_another_database_is_refused(url, why):
    with pytest.raises(Usage, match=why) as refused:
        open_engine(url)
    assert refused.value.code == "store.url" and "secret" not in str(refused.value) + refused.value.mend


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg:///gate?host=/run/postgresql",
        "postgresql+psycopg://db/gate?passfile=/etc/p",
        "sqlite:///x",
    ],
)
def test_a_socket_a_password_file_and_a_file_are_addresses(url):
    open_engine(url).dispose()


def test_nobody_but_the_mapped_unix_user_gets_in(postgres):
    """The tests' server knows one user, by its Unix identity: a stranger's name is refused without a password asked."""
    stranger = postgres.url("postgres").replace("gate@", "stranger@")
    with pytest.raises(Unreachable):
        Store(stranger)


def test_a_copy_of_the_file_is_a_database_of_its_own(file, lite, tmp_path):
    lite.close()
    shutil.copy(file, tmp_path / "copy.db")
    other = Store(f"sqlite:///{tmp_path}/copy.db")
    note(other)
    assert count(other) == count(lite) + 1
    other.close()
