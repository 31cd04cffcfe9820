"""The program goes red when something does not hold: each of these takes a control away, or breaks a row."""

from __future__ import annotations

import json

import pytest

from sandbox.gate.ledger import budget
from sandbox.gate.runs import settle
from sandbox.gate.runs.supervision import Supervision, Supervisor
from tests.faults import __main__ as program
from tests.faults import drill, play, races
from tests.faults.kinds import KINDS
from tests.faults.play import Row
from tests.faults.record import Point
from tests.faults.wires import STORE, Site

KIND = {kind.name: kind for kind in KINDS}


@pytest.fixture
def at(points):
    return {point.label: point for point in points}.__getitem__


def _broken(row: Row) -> str:
    assert not row.holds and row.broken
    return "\n".join(row.broken)


def test_red_when_a_restarted_gate_takes_nothing_in_hand(founded, at, monkeypatch):
    monkeypatch.setattr(Supervision, "converge", lambda self: [])
    found = _broken(play.play(founded, at("commit: state training"), KIND["the gate dies after it"]))
    assert "every run is settled" in found and "one container at most was started, none is left" in found


def test_red_when_an_unknown_credential_is_not_waited_out(founded, at, monkeypatch):
    monkeypatch.setattr(Supervisor, "_wait_out", lambda self: None)
    point = at("vault: write auth/token/create/run")
    assert "nothing lives in Vault" in _broken(play.play(founded, point, KIND["Vault's answer is lost"]))
    assert "nothing lives in Vault" in _broken(play.play(founded, point, KIND["the gate dies after it"]))


def test_red_when_credentials_are_not_revoked(founded, at, monkeypatch):
    monkeypatch.setattr(settle, "end_credentials", lambda house, run: 0)
    found = _broken(play.play(founded, at("commit: state minted"), KIND["the gate dies after it"]))
    assert "1. " in found and "nothing lives in Vault" in found


def test_red_when_a_door_is_left(founded, at, monkeypatch):
    monkeypatch.setattr(settle, "remove_folder", lambda folder: None)
    found = _broken(play.play(founded, at("launcher: start"), KIND["the gate dies after it"]))
    assert "3. " in found and "no door, no staged file is left" in found


def test_red_when_a_run_is_never_charged(founded, at, monkeypatch):
    monkeypatch.setattr(budget, "settle", lambda connection, plan, now, *, trained: None)
    found = _broken(play.play(founded, at("commit: state training"), KIND["the container dies"]))
    assert "6. " in found and "the budget was charged or released once" in found


def test_red_when_mlflow_is_never_told_how_it_ended(founded, at, monkeypatch):
    monkeypatch.setattr(settle.Settling, "_tracking", lambda self, plan, how: {"told": False})
    found = _broken(play.play(founded, at("commit: state ended"), KIND["the gate dies after it"]))
    assert found.count("MLflow shows what was signed: ") > 1 and "run.status" in found


def test_red_when_a_point_is_never_reached(founded, monkeypatch):
    monkeypatch.setattr(play, "END_S", 0.5)
    nowhere = Point(Site(STORE, "nowhere", 1), "nowhere", run=True, container=True)
    assert _broken(play.play(founded, nowhere, KINDS[0])) == "this point was never reached"


@pytest.mark.parametrize("holds", [True, False])
def test_the_program_writes_every_row_and_ends_as_the_worst_of_them(tmp_path, monkeypatch, holds):
    out = tmp_path / "faults.json"
    fine, bad = ["5. log"], [] if holds else ["5. the log is short"]
    said = lambda name: Row("there", name, fine, True)  # noqa: E731
    monkeypatch.setattr(play, "play", lambda founded, point, kind: said(kind.name))
    monkeypatch.setattr(races, "play", lambda founded, name: said(name))
    monkeypatch.setattr(
        drill, "play", lambda founded: Row("drill", drill.NAME, fine, holds, bad, {"settled": 9})
    )
    assert program.main(["--out", str(out)]) == (0 if holds else 1)
    rows = json.loads(out.read_text())
    assert len(rows) > 200 and all({"point", "fault", "invariants", "holds"} <= set(row) for row in rows)
    assert [row["fault"] for row in rows if not row["holds"]] == ([] if holds else [drill.NAME])
