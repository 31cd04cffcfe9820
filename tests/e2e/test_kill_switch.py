"""The kill switch on the real parts: a small drill, and a kill of everything that only somebody else resumes."""

from __future__ import annotations

import json
import os
import signal
import stat
import time

import pytest

from sandbox.demo import speech
from sandbox.demo.attempts import ENGINEER
from sandbox.demo.story import APPROVER, Stage
from tests.e2e.conftest import OPERATOR, Stack
from tests.e2e.running import Runs, containers
from tests.faults import live

RUNS = 3


@pytest.fixture(scope="module")
def drilled(stack: Stack, stage: Stage) -> dict[str, object]:
    folder = stage.work / "public-drill"
    speech.gather_digits(folder, "spk_pub0")
    stack.must(OPERATOR, "up", "--public-speech", str(folder))
    live.add(stage, live.DRILLER, "operator")
    return live.drilled(stage, RUNS)


def test_a_drill_kills_live_containers_and_their_old_credentials_are_refused(
    stack: Stack, runs: Runs, drilled: dict[str, object]
) -> None:
    assert drilled["runs"] == RUNS and drilled["outstanding"] == []
    replayed = drilled["replayed"]
    assert replayed == {"accessors": 2 * RUNS, "dead": 2 * RUNS, "wraps": RUNS, "denied": RUNS}
    times = drilled["times_ms"]
    assert isinstance(times, dict) and times["containers_dead"]["count"] == RUNS
    assert runs.broken() == []
    shown = stack.must(live.DRILLER, "incident", "show", str(drilled["incident"])).last
    assert shown["kind"] == "drill" and shown["closed_at"]


def test_after_a_kill_of_everything_only_somebody_else_brings_the_gate_back(
    stack: Stack, runs: Runs, drilled: dict[str, object]
) -> None:
    run = runs.start(misbehave="hang")
    runs.until(run, "training")
    killed = stack.must(live.DRILLER, "incident", "kill", "--scope", "all").last
    try:
        # MLflow is given a second for all models; what it missed stays owed, and holds nothing up
        owed = [
            one["what"] for one in killed["outstanding"] if not one["what"].endswith(": frozen in MLflow")
        ]
        assert killed["runs"] == [run] and owed == []
        end = time.monotonic() + 60
        while containers(run):  # dead, which the kill has proved; the engine takes its time to forget it
            assert time.monotonic() < end, "the engine still knows the container"
            time.sleep(0.1)
        note = stack.places.gate_private / "held.json"
        assert (
            json.loads(note.read_text()) == {"incident": killed["id"]}
            and stat.S_IMODE(note.stat().st_mode) == 0o600
        )
        before = stack.until_ready("gate")
        os.kill(before, signal.SIGKILL)
        held = stack.until_ready("gate", other_than=before)  # without a login it reads, and can be resumed
        assert stack.must(live.DRILLER, "incident", "show", str(killed["id"])).last["closed_at"] is None
        refused = stack.ask(ENGINEER, "run", str(runs.stage.config("probe")), "--detach")
        assert refused.code == 3 and "incident.open" in refused.text
        assert stack.ask(live.DRILLER, "incident", "resume", str(killed["id"])).code == 3
        assert not stack.ask(APPROVER, "incident", "resume", str(killed["id"])).code
        stack.until_ready("gate", other_than=held)
        assert not note.exists()
        shown = runs.settled(run)
        assert shown["outcome"] == "killed"
        runs.leaves_nothing(shown)
    finally:  # a gate that stayed held would fail every test after this one
        stack.ask(APPROVER, "incident", "resume", str(killed["id"]))
