"""A withdrawn consent at the gate: how fast runs stop, which models are marked for good, who may ask again."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from sandbox import audit
from sandbox.custodian.access import grant_access, revoke_access
from sandbox.custodian.consent import import_consents, withdraw_consent
from sandbox.errors import KeyBarred, NotPermitted, Refused, Unreachable
from sandbox.gate import upkeep
from sandbox.gate.console import pages
from sandbox.gate.database.tables import withdrawals
from sandbox.gate.ledger import log
from sandbox.gate.ledger.invariants import broken
from sandbox.gate.routes import report
from sandbox.gate.runs import replan
from sandbox.gate.subjects import rights, withdrawal
from sandbox.runs import RunState, from_utc
from sandbox.sealing.previous import open_previous
from sandbox.tracking.reconcile import compare
from sandbox.tracking.signed import signed_runs
from tests.fakes import studio
from tests.fakes.studio import NOW, STEWARD, consent
from tests.gate import scripts
from tests.gate.founding import found
from tests.gate.world import (
    ANNA,
    BEN,
    DATASET,
    ENGINEER,
    OTHER,
    admit,
    ended,
    listening,
    muted_power_cuts,
    reaches,
    request,
    row,
    run_of,
    short_folder,
    until,
)

WHOSE = f"{DATASET}/{ANNA}"
TELL_S = withdrawal.TELL_S
MOST_S = 2.0  # from the withdrawal's answer to the run's end, where the machine has nothing else to do
BUSY_S = 20.0  # the same where it has; what hangs would take 60 s


def honour(gate) -> None:
    rights.honour(gate, gate.registers.read())


def marks(gate) -> dict[str, str]:
    return gate.house.store.read(withdrawal.marks)


@pytest.fixture
def kept_up(gate):
    """The gate's upkeep, looking as often as it does in earnest."""
    stop = threading.Event()
    thread = threading.Thread(target=upkeep.upkeep, args=(gate, lambda: 3600, stop, stop.set), daemon=True)
    thread.start()
    until(lambda: gate.registers.heads() != {})
    yield gate
    stop.set()
    thread.join(5)


def test_a_live_credential_decrypts_no_more_and_the_run_ends_within_two_seconds(
    world, kept_up, live, monkeypatch
):
    """Refused from the first decrypt on, because Vault is asked each time; the gate looks once a second, and its first
    look ends the run. Looks are counted: seconds would measure what else the machine does.
    """
    wrap = kept_up.house.vault.mint_run(
        DATASET, "train", "r-2222", "g-2222", uses=9, ttl_s=300, wrap_ttl_s=60
    )
    session = world.vault.session(wrap.wrap.token)
    hands = world.desk.hands(DATASET)
    sealed = open_previous(world.desk.folder(DATASET), DATASET, hands.head, hands.keys, hands.trusted)
    wrapped = dict(sealed.wraps)[ANNA][0]
    session.unwrap_data_key(DATASET, ANNA, wrapped)
    changed, found_at_a_look = kept_up.registers.changed, list[str | None]()

    def look() -> bool:
        found_at_a_look.append(row(kept_up, live).kill)
        return changed()

    monkeypatch.setattr(kept_up.registers, "changed", look)
    withdraw_consent(world.desk, STEWARD, DATASET, ANNA)
    found_at_a_look.clear()
    with pytest.raises(KeyBarred):
        session.unwrap_data_key(DATASET, ANNA, wrapped)
    found = ended(kept_up, live)
    assert (found.outcome, found.kill) == ("killed", replan.WITHDRAWN)
    assert found_at_a_look.count(None) <= 1 and upkeep.LOOK_S <= MOST_S / 2


def test_a_consent_that_runs_out_ends_the_run_by_itself(world, gate, monkeypatch):
    import_consents(world.desk, STEWARD, [consent(ANNA, expires=(NOW + timedelta(hours=1)).isoformat())])
    world.script = scripts.waits
    run = admit(gate, request(compute=replace(request().compute, time_limit_s=4 * 3600)))
    assert from_utc(row(gate, run).plan["expires"]) == NOW + timedelta(hours=1)
    gate.supervision.begin(run)
    reaches(gate, run, RunState.TRAINING)
    monkeypatch.setattr(upkeep, "LOOK_S", 0.02)
    stop = threading.Event()
    thread = threading.Thread(target=upkeep.upkeep, args=(gate, lambda: 3600, stop, stop.set), daemon=True)
    thread.start()
    try:
        world.pass_time(seconds=3599)
        assert not gate.supervision.join(run, 0.3)
        world.pass_time(seconds=1)
        assert ended(gate, run).kill == replan.ENDED
    finally:
        stop.set()
        thread.join(5)


def test_a_withdrawal_between_snapshot_and_decision_is_not_overlooked(world, gate, monkeypatch):
    """Whoever honoured it saw no run; the run that is being admitted must see it, then."""
    gather, withdrawn = gate.admission._knowledge.gather, []

    def overtaken(asked, person):
        snapshot = gather(asked, person)
        if not withdrawn:
            withdrawn.append(withdraw_consent(world.desk, STEWARD, DATASET, ANNA))
            honour(gate)
        return snapshot

    monkeypatch.setattr(gate.admission._knowledge, "gather", overtaken)
    with pytest.raises(Refused) as caught:
        admit(gate)
    assert [reason.code for reason in caught.value.reasons] == ["consent.withdrawn"]


def test_what_was_made_from_the_voice_is_marked_everywhere_and_is_no_input_any_more(world, gate):
    heard = run_of(gate)
    run_of(gate, request(subjects=(BEN,)))
    run_of(gate, listening("hum@2"))
    withdraw_consent(world.desk, STEWARD, DATASET, ANNA)
    assert [fault.split(" ")[0] for fault in broken(gate.house)] == ["10."]
    honour(gate)
    assert marks(gate) == world.tracking.withdrawn == {"hum@1": WHOSE}
    page = bytes(pages._run(gate, heard.id).body).decode()
    assert "consent withdrawn since" in page and WHOSE in page
    assert world.tracking.taints == {} and broken(gate.house) == []
    graph = gate.house.store.read(report.graph)
    assert {node["id"] for node in graph["nodes"] if node["withdrawn"]} == {"hum@1"}
    honour(gate)
    assert len(gate.house.store.read(lambda c: c.execute(sa.select(withdrawals)).all())) == 1
    with pytest.raises(Refused) as caught:
        admit(gate, listening("hum@1"))
    assert {"consent.withdrawn", "input.withdrawn"} <= {reason.code for reason in caught.value.reasons}


def test_the_evidence_tells_the_mark_and_mlflow_must_show_it(world, gate):
    run_of(gate)
    withdraw_consent(world.desk, STEWARD, DATASET, ANNA)
    honour(gate)
    log.checkpoint(gate.house.store, gate.house.vault.signer, gate.house.clock())
    found = audit.verify_evidence(audit.Evidence.from_json(report.evidence(gate.house)), world.keys("gate"))
    assert found.faults == () and found.withdrawn == {"hum@1": WHOSE}
    expected = signed_runs(found.statements.values(), found.taints, found.withdrawn)
    assert compare(expected, world.tracking.survey()) == ()
    world.tracking.withdrawn.clear()
    assert {fault.kind for fault in compare(expected, world.tracking.survey())} == {"tag.missing"}


def test_a_consent_given_anew_covers_what_is_made_from_then_on(world, gate):
    run_of(gate)
    withdraw_consent(world.desk, STEWARD, DATASET, ANNA)
    honour(gate)
    world.pass_time(minutes=1)
    import_consents(world.desk, STEWARD, [consent(ANNA)])
    run_of(gate)
    honour(gate)
    assert marks(gate) == {"hum@1": WHOSE} and broken(gate.house) == []
    with pytest.raises(Refused) as caught:
        admit(gate, listening("hum@1"))
    assert [reason.code for reason in caught.value.reasons] == ["input.withdrawn"]
    assert admit(gate, listening("hum@2"))


def test_a_withdrawal_that_was_taken_back_before_the_gate_looked_still_marks(world, gate):
    run_of(gate)
    withdraw_consent(world.desk, STEWARD, DATASET, ANNA)
    import_consents(world.desk, STEWARD, [consent(ANNA)])
    honour(gate)
    assert marks(gate) == {"hum@1": WHOSE}


def test_a_mark_stands_though_mlflow_does_not_hear_of_it(world, gate):
    run_of(gate)
    withdraw_consent(world.desk, STEWARD, DATASET, ANNA)
    world.tracking.fault = Unreachable("MLflow does not answer")
    honour(gate)
    assert marks(gate) == {"hum@1": WHOSE} and world.tracking.withdrawn == {}


def stopped(world, gate) -> str:
    """A run that lost Anna."""
    world.script = scripts.waits
    run = admit(gate)
    gate.supervision.begin(run)
    reaches(gate, run, RunState.TRAINING)
    withdraw_consent(world.desk, STEWARD, DATASET, ANNA)
    honour(gate)
    assert ended(gate, run).outcome == "killed"
    return run


@pytest.fixture
def replanning(monkeypatch):
    """An installation whose agreement says ``on_withdrawal: replan``."""
    said = studio.agreement_yaml
    changed = lambda **given: said(**given).replace(b"on_withdrawal: stop", b"on_withdrawal: replan")  # noqa: E731
    monkeypatch.setattr(studio, "agreement_yaml", changed)
    with short_folder() as state, muted_power_cuts():
        world = found(state)
        yield SimpleNamespace(world=world, gate=world.gate())
        world.close()


def test_a_run_that_lost_a_voice_is_asked_for_again_without_it(replanning):
    world, gate = replanning.world, replanning.gate
    run = stopped(world, gate)
    made = replan.again(gate, run, ENGINEER, rights.barred(gate)).run
    assert row(gate, made).plan["subjects"] == [BEN] and row(gate, made).person == ENGINEER
    with pytest.raises(NotPermitted):
        replan.again(gate, run, OTHER, rights.barred(gate))


@pytest.fixture
def school(monkeypatch):
    """An installation whose agreement names who approves access to minors; Anna is fifteen."""
    said, named = studio.agreement_yaml, f"minor_access_approver: {STEWARD}".encode()
    changed = lambda **given: said(**given).replace(b"minor_access_approver: null", named)  # noqa: E731
    monkeypatch.setattr(studio, "agreement_yaml", changed)
    with short_folder() as state, muted_power_cuts():
        world = found(state)
        import_consents(world.desk, STEWARD, [consent(ANNA, age_band="14_17")])
        yield SimpleNamespace(world=world, gate=world.gate())
        world.close()


def test_a_minor_is_heard_while_the_approval_stands_and_not_a_moment_longer(school):
    world, gate = school.world, school.gate
    with pytest.raises(Refused) as caught:
        admit(gate)
    assert [reason.code for reason in caught.value.reasons] == ["subject.minor"]
    until_ = NOW + timedelta(minutes=10)
    body = {"person": ENGINEER, "dataset": DATASET, "purposes": ["train"], "minors": [ANNA]}
    entered = grant_access(world.desk, STEWARD, {**body, "until": until_.isoformat()})
    world.script = scripts.waits
    run = admit(gate)
    assert from_utc(row(gate, run).plan["expires"]) == until_
    gate.supervision.begin(run)
    reaches(gate, run, RunState.TRAINING)
    honour(gate)
    assert row(gate, run).kill is None
    revoke_access(world.desk, STEWARD, entered["id"])
    honour(gate)
    assert ended(gate, run).kill == rights.UNAPPROVED and broken(gate.house) == []


def test_nobody_left_is_nothing_to_ask_for(replanning):
    world, gate = replanning.world, replanning.gate
    run = stopped(world, gate)
    withdraw_consent(world.desk, STEWARD, DATASET, BEN)
    with pytest.raises(Refused) as caught:
        replan.again(gate, run, ENGINEER, rights.barred(gate))
    assert caught.value.code == "subjects.empty"


def test_where_the_agreement_says_stop_nothing_is_planned_anew(world, gate):
    run = stopped(world, gate)
    with pytest.raises(Refused) as caught:
        replan.again(gate, run, ENGINEER, rights.barred(gate))
    assert caught.value.code == "run.not_replanned"


def test_only_a_run_that_lost_a_voice_is_planned_anew(replanning):
    gate = replanning.gate
    run = run_of(gate).id
    with pytest.raises(Refused) as caught:
        replan.again(gate, run, ENGINEER, rights.barred(gate))
    assert caught.value.code == "run.not_withdrawn"


def test_an_mlflow_that_hangs_keeps_no_other_run_from_being_stopped(world, monkeypatch):
    monkeypatch.setattr(withdrawal, "TELL_S", TELL_S)
    gate = world.gate()
    run_of(gate)
    hung = threading.Event()
    monkeypatch.setattr(world.tracking, "mark_withdrawn", lambda *_: hung.wait(60), raising=False)
    withdraw_consent(world.desk, STEWARD, DATASET, ANNA)
    began = time.monotonic()
    honour(gate)
    assert time.monotonic() - began < BUSY_S and TELL_S < MOST_S and marks(gate) == {"hum@1": WHOSE}
    hung.set()
