"""A canary planted in each place is found there: a place that the scan cannot see into would be silent for ever."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.residue import draw, installation, scan
from sandbox.residue import places as places_
from sandbox.residue.files import memory

CANARY = draw("canary")
NEEDLES = CANARY.needles()
TEXT, SOUND = CANARY.text.encode(), CANARY.samples.astype("<i2").tobytes()


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    return tmp_path / "machine"


@pytest.fixture
def state(machine: Path) -> Path:
    for name in ("var/lib/sandbox", "var/log", "run/log", "tmp", "var/tmp", "dev/shm", "proc", "layers"):
        (machine / name).mkdir(parents=True)
    (machine / "proc/swaps").write_text("Filename Type Size Used Priority\n")
    return machine / "var/lib/sandbox"


def put(path: Path, data: bytes = b"before " + TEXT + b" after" + SOUND) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def freed_pages(path: Path) -> None:
    """A row that was deleted: its pages are on the freelist, its bytes in the file."""
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA secure_delete = OFF")
        base.execute("CREATE TABLE said (text TEXT, sound BLOB)")
        base.execute("INSERT INTO said VALUES (?, ?)", (CANARY.text, SOUND))
        base.commit()
        base.execute("DELETE FROM said")
        base.commit()
        assert base.execute("PRAGMA freelist_count").fetchone()[0] > 0


def swapped(machine: Path) -> None:
    put(machine / "swapfile", bytes(5000) + SOUND)
    (machine / "proc/swaps").write_text(f"Filename Type Size Used Priority\n{machine}/swapfile file 9 9 -2\n")


PLANTED: dict[str, tuple[str, Callable[[Path, Path], object]]] = {
    "a file of the state": ("state", lambda machine, state: put(state / "custodian/sealed/x")),
    "a page freed by a database": ("databases", lambda machine, state: freed_pages(state / "x.db")),
    "a register's journal": ("databases", lambda machine, state: put(state / "gate/gate.db-journal")),
    "Vault's storage": ("Vault's storage", lambda machine, state: put(state / "vault/raft/raft.db")),
    "Vault's audit": ("Vault's storage", lambda machine, state: put(state / "audit/vault-audit.log")),
    "MLflow's store": ("MLflow's store", lambda machine, state: put(state / "mlflow/artifacts/1/a")),
    "a log": ("logs and journals", lambda machine, state: put(state / "run/logs/gate.log", TEXT)),
    "the machine's journal": ("logs and journals", lambda machine, state: put(machine / "run/log/journal/a/b")),
    "a temporary file": ("temporary files", lambda machine, state: put(machine / "tmp/.x/y")),
    "shared memory": ("shared memory", lambda machine, state: put(machine / "dev/shm/sem.x")),
    "swap": ("swap", lambda machine, state: swapped(machine)),
    "an image layer": ("image layers", lambda machine, state: put(machine / "layers/overlay/1/diff/app/x")),
}  # fmt: skip


@pytest.mark.parametrize(("place", "plant"), PLANTED.values(), ids=PLANTED)
def test_a_canary_is_found_where_it_was_planted(
    machine: Path, state: Path, monkeypatch: pytest.MonkeyPatch, place: str, plant: Callable[[Path, Path], object]
) -> None:
    monkeypatch.setattr(places_, "storage", lambda engine: [machine / "layers"])
    monkeypatch.setattr(places_, "processes", list)

    def look() -> set[str]:
        asked = installation(state, engine="no-such-engine", machine=machine)
        return scan((p for p in asked if p.name == place), NEEDLES).found_in(place)

    assert look() == set()
    plant(machine, state)
    assert look()


def test_a_write_ahead_log_that_no_checkpoint_has_seen_is_searched(machine: Path, state: Path) -> None:
    with contextlib.closing(sqlite3.connect(state / "x.db")) as base:
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("CREATE TABLE said (sound BLOB)")
        base.execute("INSERT INTO said VALUES (?)", (SOUND,))
        base.commit()
        (databases,) = (p for p in installation(state, engine="none", machine=machine) if p.name == "databases")
        assert {Path(f.source).name for f in scan([databases], NEEDLES).findings} == {"x.db-wal"}


def test_a_file_without_a_name_that_is_still_open_is_searched(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places_, "processes", lambda: [os.getpid()])
    with (tmp_path / "gone").open("wb+") as file:
        file.write(SOUND)
        file.flush()
        (tmp_path / "gone").unlink()
        (place,) = (p for p in installation(state, engine="none") if p.name == "deleted but open")
        assert scan([place], NEEDLES).findings


@pytest.fixture
def holder(state: Path) -> Iterator[int]:
    """A process of this installation that keeps the text in its memory."""
    hold = "import sys; kept = sys.stdin.buffer.readline(); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, "--state", str(state)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        process.stdin.write(TEXT + b"\n")
        process.stdin.flush()
        process.stdout.readline()
        yield process.pid


def test_the_memory_of_a_service_is_searched(state: Path, machine: Path, holder: int) -> None:
    (place,) = (
        p for p in installation(state, engine="none", machine=machine) if p.name == "memory of services"
    )
    found = scan([place], NEEDLES)
    assert {finding.source for finding in found.findings} == {f"process {holder}"}


def test_what_is_closed_is_counted_and_what_vanished_is_not() -> None:
    assert list(memory([2**22 + 1])) == []
    (place,) = scan([places_.folder("one", Path("/proc/1/no-such-file"))], NEEDLES).places
    assert (place.sources, place.closed) == (0, 0)


def test_a_link_is_not_followed_and_what_is_left_out_is_left_out(tmp_path: Path) -> None:
    put(tmp_path / "outside/secret")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside/link").symlink_to(tmp_path / "outside/secret")
    put(tmp_path / "inside/left/out")
    asked = places_.folder("one", tmp_path / "inside", skip=[tmp_path / "inside/left"])
    assert scan([asked], NEEDLES).findings == []


def test_a_scan_says_how_much_it_read(tmp_path: Path) -> None:
    put(tmp_path / "a", bytes(1000))
    found = scan([places_.folder("one", tmp_path)], NEEDLES)
    assert (found.bytes, found.places[0].sources) == (1000, 1)
