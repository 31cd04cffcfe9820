"""Whole runs on the real parts: what a recipe gets, what it cannot do, and that nothing is left behind when it dies."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from sandbox.demo import attempts
from sandbox.demo.attempts import AUDITOR, ENGINEER, STEWARD
from sandbox.demo.thief import Thief
from sandbox.residue import folder, of_corpus, scan
from tests.e2e.running import Runs, children, secrets_in

FIELDS = ("CapEff", "NoNewPrivs", "Seccomp", "Uid")
#: What a misbehaving recipe comes to: the code that its run fails with, or None where it is merely cut down.
MISBEHAVIOURS = {
    "leave": "trainer.gone",
    "undeclared_metric": "metric.undeclared",
    "metric_out_of_bounds": None,
    "undeclared_artifact": "artifact.undeclared",
    "oversize_artifact": "artifact.size",
    "text": "text.undeclared",
    "unknown_record": "record.unknown",
    "garbage": "trainer.grammar",
    "hoard": "trainer.gone",
}


def test_a_run_finishes_and_an_auditor_can_prove_all_of_it(runs: Runs) -> None:
    shown = runs.finished(steps=4, attempts=True)
    assert shown["metrics"]["utterances"][0]["value"] == 31
    outcomes = {name: shown["metrics"][name][-1]["value"] for name in attempts.PROBED}
    assert outcomes == dict.fromkeys(attempts.PROBED, 0)
    assert {item["state"] for item in shown["artifacts"]} == {"signed"}
    assert {c["kind"] for c in shown["credentials"]} >= {"token", "wrap", "artifact"}
    runs.leaves_nothing(shown)


def test_a_recipe_that_fails_says_where_and_quotes_nothing(runs: Runs) -> None:
    shown = runs.settled(runs.start(misbehave="crash"))
    assert shown["outcome"] == "failed" and shown["failure"].startswith("recipe.")
    assert "must not leave" not in str(shown)


@pytest.mark.parametrize(("name", "code"), MISBEHAVIOURS.items(), ids=MISBEHAVIOURS)
def test_a_recipe_that_misbehaves_gets_nothing_out(runs: Runs, name: str, code: str | None) -> None:
    shown = runs.settled(runs.start(misbehave=name, steps=1))
    assert (shown["outcome"], shown["failure"]) == (("failed", code) if code else ("finished", None))
    if code:
        assert {item["state"] for item in shown["artifacts"]} <= {"quarantined"} and shown["model"] is None


@pytest.mark.parametrize("moment", ["started", "ordered", "unlocked", "training", "metric"])
def test_a_container_killed_at_any_moment_leaves_nothing(runs: Runs, moment: str) -> None:
    run = runs.start(steps=10_000, sleep_ms=50)
    row = runs.until(run, moment if moment != "metric" else "training", "training")
    while moment == "metric" and row["points"] < 3:
        row = runs.row(run)
    os.kill(int(row["pid"]), signal.SIGKILL)
    shown = runs.settled(run)
    assert shown["outcome"] == "failed"
    assert shown["model"] is None
    runs.leaves_nothing(shown)


def test_a_run_that_is_killed_by_a_person_ends_at_once(runs: Runs) -> None:
    run = runs.start(misbehave="hang")
    runs.until(run, "training")
    asked = time.monotonic()
    runs.stack.must(ENGINEER, "runs", "kill", run)
    shown = runs.settled(run)
    assert shown["outcome"] == "killed" and time.monotonic() - asked < 90  # its own limit is five minutes
    runs.leaves_nothing(shown)


def test_a_gate_killed_in_training_comes_back_and_the_run_goes_on(runs: Runs) -> None:
    run = runs.start(steps=100, sleep_ms=100)
    runs.until(run, "training")
    before = runs.stack.until_ready("gate")
    os.kill(before, signal.SIGKILL)
    runs.stack.until_ready("gate", other_than=before)
    shown = runs.settled(run)
    assert shown["outcome"] == "finished", shown["failure"]
    assert [point["step"] for point in shown["metrics"]["value"]] == list(range(1, 101))
    runs.leaves_nothing(shown)


def test_a_trainer_that_races_the_keeper_for_the_door_loses_and_is_seen(runs: Runs) -> None:
    run = runs.start(steps=2_500, sleep_ms=100, misbehave="knock")
    runs.until(run, "training")
    for _ in range(8):  # who comes first is a race: a keeper that did leaves the trainer waiting, unheard
        before = runs.stack.until_ready("gate")
        os.kill(before, signal.SIGKILL)
        runs.stack.until_ready("gate", other_than=before)
        time.sleep(1.0)
        if "door.foreign_peer" in runs.incidents(run):
            break
    runs.stack.ask(ENGINEER, "runs", "stop", run)  # enough was seen; one that is over already is refused it
    shown = runs.settled(run)
    assert shown["outcome"] == "finished", shown["failure"]
    assert "door.foreign_peer" in runs.incidents(run)
    runs.leaves_nothing(shown)


def test_while_it_trains_a_run_is_alone_and_holds_no_secret(runs: Runs) -> None:
    run = runs.start(steps=10_000, sleep_ms=100)
    row = runs.until(run, "training")
    keeper = int(row["pid"])
    (trainer,) = children(keeper)
    for pid in (keeper, trainer):
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        assert {name: status[name].split("\t")[0] for name in FIELDS[:3]} == {
            "CapEff": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2",
        }  # fmt: skip
        assert status["Uid"].split("\t")[0] not in ("0", str(os.getuid()))
        mounts = [line.split() for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]
        writable = {m[4] for m in mounts if "rw" in m[5].split(",")} - {
            "/proc",
            "/sys",
            "/dev",
            "/dev/mqueue",
        }
        assert {w for w in writable if not w.startswith(("/proc", "/sys", "/dev"))} == {"/tmp"}
        routes = Path(f"/proc/{pid}/net/route").read_text().splitlines()[1:]
        links = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
        assert routes == [] and [line.split(":")[0].strip() for line in links] == ["lo"]
        resolver = Path(f"/proc/{pid}", "root", "etc", "resolv.conf")
        assert not resolver.exists() or "nameserver" not in resolver.read_text()
    assert secrets_in(trainer) == []
    assert [c["kind"] for c in runs.show(run)["credentials"] if not c["dead_at"]] == []
    runs.stack.must(ENGINEER, "runs", "kill", run)
    runs.leaves_nothing(runs.settled(run))


def test_the_search_for_secrets_finds_one_that_is_there() -> None:
    planted = bytearray(b"hvs.") + bytearray(b"A1" * 14)
    assert bytes(planted) in secrets_in(os.getpid())


def test_a_credential_that_somebody_else_opened_stops_the_run_and_opens_an_incident(runs: Runs) -> None:
    with Thief(runs.stack.house.state) as thief:
        shown = runs.settled(runs.start())
    assert thief.opened
    assert (shown["outcome"], shown["failure"]) == ("failed", "credential.used")
    assert runs.incidents(str(shown["id"])) == ["credential.used"]
    runs.leaves_nothing(shown)


def test_who_may_not_gets_every_reason_and_nothing_starts(runs: Runs) -> None:
    path = runs.stage.config("probe", dataset="voices")
    answer = runs.stack.ask("eng.old", "run", str(path), "--recipes", str(runs.stage.source / "recipes"))
    assert answer.code == 3
    assert {"person.nda_expired", "access.expired"} <= set(answer.reasons())


def test_no_plaintext_is_left_anywhere(runs: Runs) -> None:
    """Speech, transcripts and weights: in the state, MLflow's store, logs and /tmp; a planted one is found."""
    work = runs.stage.work
    wanted = [need for name in ("digits", "voices") for need in of_corpus(work / "speech" / name, every=8)]
    places = [runs.stack.house.state, Path("/dev/shm"), Path("/tmp")]
    sessions = Path("/tmp").glob("vs-*")  # recordings of tests beside this one; and public speech is public
    skip = [runs.stack.places.venv, runs.stack.places.public_set, work, *sessions]
    found = scan([folder("here", *places, skip=skip)], wanted)
    assert list(found.findings) == [] and found.bytes > 1_000_000
    assert scan([folder("speech", work / "speech")], wanted).findings


def test_a_withdrawn_consent_stops_the_run_that_holds_the_voice_and_the_next_one(runs: Runs) -> None:
    path = runs.stage.config(
        "probe", dataset="voices", parameters={"steps": 10_000, "sleep_ms": 100, "attempts": False}
    )
    recipes = str(runs.stage.source / "recipes")
    run = str(runs.stack.must(ENGINEER, "run", str(path), "--recipes", recipes, "--detach").last["run"])
    runs.until(run, "training")
    runs.stack.must(STEWARD, "consent", "withdraw", "spk_19c0", "--dataset", "voices")
    shown = runs.settled(run)
    assert shown["outcome"] == "killed" and shown["killed_by"] == "gate"
    again = runs.stack.ask(ENGINEER, "run", str(path), "--recipes", recipes)
    assert again.code == 3 and "consent.withdrawn" in again.reasons()
    runs.leaves_nothing(shown)


def test_an_erased_voice_taints_its_models_and_stays_unreadable(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # certificates are written beside the caller
    made = runs.finished()
    runs.stack.must("a.approver.1", "erase", "spk_7f3a", "--dataset", "digits")
    refused = runs.stack.ask(
        *(ENGINEER, "run", str(runs.stage.config("probe", subjects=["spk_7f3a"]))),
        *("--recipes", str(runs.stage.source / "recipes")),
    )
    assert refused.code == 3 and "subject.erased" in refused.reasons()
    end = time.monotonic() + 90
    while time.monotonic() < end and not _tainted(runs, str(made["id"])):
        time.sleep(0.5)
    assert _tainted(runs, str(made["id"]))
    assert runs.stack.ask(AUDITOR, "audit", "verify").code == 0


def _tainted(runs: Runs, run: str) -> bool:
    answer = runs.stack.must(AUDITOR, "audit", "lineage", "--run", run)
    return all(model["taint"] for model in answer.last["leads_to"])
