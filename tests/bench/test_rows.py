"""Rows: goals that hold or are missed, what is written and what is shown."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from sandbox.bench import deciding, launching, training
from sandbox.bench.deciding import Served
from sandbox.bench.rows import Row, at_least, at_most, show, write


@pytest.mark.parametrize(("ours", "holds"), [(9.5, True), (9.6, True), (9.4, False)])
def test_a_ratio_reaches_its_goal_or_is_missed(ours: float, holds: bool) -> None:
    row = at_least("train", ours, "steps/s", "outside", 10.0, 0.95)
    assert row.ratio == pytest.approx(ours / 10)
    assert (row.holds, row.goal) == (holds, ">= 0.95")


@pytest.mark.parametrize(("seconds", "holds"), [(2.0, True), (2.01, False)])
def test_a_limit_is_kept_or_missed(seconds: float, holds: bool) -> None:
    row = at_most("launch", seconds, "s", 2.0)
    assert (row.holds, row.goal) == (holds, "<= 2 s")


def test_what_is_written_has_exactly_these_fields(tmp_path: Path) -> None:
    rows = [at_most("a", 1.0, "s", 2.0), Row("b", 3.0, "MB/s", "c: 6 MB/s", 0.5)]
    write(rows, tmp_path / "build" / "bench.json")
    found = json.loads((tmp_path / "build" / "bench.json").read_text())
    assert [list(row) for row in found] == [
        ["name", "value", "unit", "against", "ratio", "goal", "holds"]
    ] * 2
    assert [row["holds"] for row in found] == [True, None]


def test_a_missed_goal_is_shown_as_missed() -> None:
    out = io.StringIO()
    show([at_most("slow", 3.0, "s", 2.0), at_most("quick", 1.0, "s", 2.0)], Console(file=out, width=120))
    slow, quick = [line for line in out.getvalue().splitlines() if "<= 2 s" in line]
    assert "✘" in slow
    assert "✔" in quick


def test_training_rows_take_medians_and_only_one_has_a_goal() -> None:
    sealed, coqui = training.rows(
        {"sandbox": [9.0, 9.9, 5.0], "plain": [10.0, 1.0, 11.0], "coqui": [4.0, 4.5, 5.0]}
    )
    assert (sealed.value, sealed.ratio, sealed.holds) == (9.0, pytest.approx(0.9), False)
    assert (coqui.value, coqui.ratio, coqui.holds) == (9.0, pytest.approx(2.0), None)
    assert "4.5 steps/s" in coqui.against


def test_the_launch_row_is_what_is_left_beside_a_bare_container() -> None:
    row = launching.row({"launch": [7.0, 2.5, 2.7], "bare": [0.5, 0.7, 0.6]})
    assert row.value == pytest.approx(2.1)
    assert row.holds is False
    assert "0.60 s" in row.against
    assert "2.70 s" in row.against


def test_the_decision_row_counts_service_and_tells_queueing_apart() -> None:
    found = [Served(0.0, 0.004)] * 99 + [Served(0.5, 0.018)] * 2
    row = deciding.row("gate decision p99", found)
    assert row.value == pytest.approx(18.0)
    assert row.holds is True
    assert "queueing apart: p99 500.0 ms" in row.against
