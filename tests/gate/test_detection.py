"""Detection at work: what the log and Vault's audit file show becomes alerts and incidents, once, across restarts."""

from __future__ import annotations

import json
import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from sandbox.errors import Refused
from sandbox.gate.alarms import audit_tail, detection
from sandbox.gate.alarms.audit_tail import read_on
from sandbox.gate.database.tables import alerts, credentials, incidents, watches
from sandbox.gate.incidents import incident
from sandbox.gate.runs import chronicle
from sandbox.runs import RunState
from tests.fakes.audit_lines import answer, both
from tests.gate import scripts
from tests.gate.world import DATASET, ENGINEER, OPERATOR, admit, ended, reaches, request, row, run_of

#: Rows and JSON, outer joins and updates: the same on both databases.
pytestmark = pytest.mark.both_databases

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "detection.yaml"
VOICE = f"subjects/decrypt/{DATASET}.spk_anna"


@pytest.fixture
def watched(world, gate):
    """A gate with rules and Vault's audit file, that has seen everything so far."""
    folder = world.places.app / "configs"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(CONFIG, folder / "detection.yaml")
    world.places.vault_audit.parent.mkdir(parents=True, exist_ok=True)
    world.places.vault_audit.touch()
    gate.detection.look()
    forget(gate)
    return gate


def forget(gate):
    gate.house.store.transact(lambda c: c.execute(alerts.delete()))


def raised(gate):
    asked = sa.select(alerts).order_by(alerts.c.at, alerts.c.id)
    return [dict(r) for r in gate.house.store.read(lambda c: c.execute(asked).mappings().all())]


def rules(gate):
    return [one["rule"] for one in raised(gate)]


def opened(gate):
    return gate.house.store.read(lambda c: c.execute(sa.select(incidents)).all())


def write(gate, *lines, at=None):
    """Lines of Vault's, an hour old unless said otherwise: too old to wait for anything."""
    moment = at or gate.house.clock() - timedelta(hours=1)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S.000000001Z")
    with gate.house.places.vault_audit.open("ab") as file:
        for line in both(*lines):
            line["time"] = text
            line["request"] = {"id": os.urandom(8).hex(), **line["request"]}
            file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")


def test_a_decrypt_of_no_grant_opens_an_incident_that_stops_its_dataset(world, watched, live):
    write(watched, answer(VOICE, policies=("root",), accessor="hmac-sha256:thief"))
    assert watched.detection.look()
    [alert], [found] = raised(watched), opened(watched)
    assert (alert["rule"], alert["severity"]) == ("decrypt-of-no-grant", "critical")
    assert (found.kind, found.scope, found.by) == (
        "decrypt-of-no-grant",
        f"dataset:{DATASET}",
        "gate",
    )
    assert alert["incident"] == found.id and alert["about"]["dataset"] == DATASET
    assert ended(watched, live).outcome == "killed"
    with pytest.raises(Refused) as caught:
        admit(watched)
    assert "incident.open" in [reason.code for reason in caught.value.reasons]


def test_a_second_theft_of_the_same_kind_is_an_alert_of_the_same_incident(watched):
    for mark in ("hmac-sha256:one", "hmac-sha256:two"):
        write(watched, answer(VOICE, policies=("root",), accessor=mark))
        watched.detection.look()
    [found] = opened(watched)
    assert [one["incident"] for one in raised(watched)] == [found.id] * 2


CASES = {
    "a run's token that no run has": (
        answer("auth/token/create/run", wrap="hmac-sha256:o"),
        "key-of-no-grant",
        "all",
    ),
    "an artifact's key of no run": (
        answer("derivatives/datakey/plaintext/dsa-2026-0001", wrap="hmac-sha256:o"),
        "key-of-no-grant",
        "agreement:dsa-2026-0001",
    ),
    "an unknown accessor": (
        answer("auth/token/lookup-self", policies=("run-digits-train",), accessor="hmac-sha256:o"),
        "unknown-accessor",
        "dataset:digits",
    ),
    "a wrap wrapped again": (answer("sys/wrapping/rewrap", wrap="hmac-sha256:o"), "wrapped-again", "all"),
    "a policy by root": (
        answer("sys/policies/acl/run-digits-train", policies=("root",), data=()),
        "foreign-policy",
        "dataset:digits",
    ),
    "a root attempt": (answer("sys/generate-root-token/attempt"), "root-attempt", None),
}


@pytest.mark.parametrize(("line", "rule", "scope"), CASES.values(), ids=CASES)
def test_what_vaults_file_shows_is_an_alert_and_opens_what_its_rule_says(watched, line, rule, scope):
    write(watched, line)
    watched.detection.look()
    assert rules(watched) == [rule]
    assert [one.scope for one in opened(watched)] == ([scope] if scope else [])


def test_what_was_found_is_found_once_also_by_the_next_gate(world, watched):
    write(watched, answer(VOICE, policies=("root",), accessor="hmac-sha256:thief"))
    watched.detection.look()
    watched.detection.look()
    after = world.gate()
    after.detection.look()
    assert rules(after) == ["decrypt-of-no-grant"] and len(opened(after)) == 1


def test_a_gate_that_dies_while_it_writes_a_finding_down_finds_it_again(world, watched):
    write(watched, answer(VOICE, policies=("root",), accessor="hmac-sha256:thief"))
    conclude = detection.Detection._conclude

    def dies(self, *given):
        conclude(self, *given)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detection.Detection, "_conclude", dies)
        with pytest.raises(KeyboardInterrupt):
            watched.detection.look()
    assert raised(watched) == [] and opened(watched) == []
    after = world.gate()
    after.detection.look()
    assert rules(after) == ["decrypt-of-no-grant"] and len(opened(after)) == 1


def test_a_whole_run_is_no_alert(world, watched):
    """Lines as Vault writes them, of a run that the gate really went through."""
    found = run_of(watched)
    with watched.house.store.engine.connect() as connection:
        rows = connection.execute(sa.select(credentials).where(credentials.c.run == found.id)).all()
    token = next(r.audit_hash for r in rows if r.kind == "token")
    run = {"policies": ("run-digits-train",), "grant": found.grant, "accessor": token}
    lines = [answer(r.path, policies=("gate",), wrap=r.audit_hash) for r in rows if r.kind != "token"]
    voices = [f"subjects/decrypt/{DATASET}.{subject}" for subject in found.plan["subjects"]]
    lines += [answer(path, **run) for path in (f"subjects/decrypt/index.{DATASET}", *voices)]
    write(watched, *lines, answer("auth/token/revoke-self", data=(), **run), at=watched.house.clock())
    forget(watched)
    assert watched.detection.look()
    assert rules(watched) == []
    world.pass_time(minutes=5)
    assert watched.detection.look() and rules(watched) == []


def test_a_credential_that_is_not_written_down_yet_is_waited_for(world, watched):
    run = admit(watched)
    now = watched.house.clock()
    write(watched, answer("auth/token/create/run", policies=("gate",), wrap="hmac-sha256:new"), at=now)
    watched.detection.look()
    assert rules(watched) == []
    values = {"accessor": "a", "run": run, "kind": "wrap", "path": "p", "audit_hash": "hmac-sha256:new"}
    watched.house.store.transact(
        lambda c: c.execute(credentials.insert().values(**values, created_at="", expires_at=""))
    )
    world.pass_time(minutes=5)
    watched.detection.look()
    assert rules(watched) == []


def test_a_credential_that_nobody_wrote_down_is_found_by_the_next_gate(world, watched):
    now = watched.house.clock()
    write(watched, answer("auth/token/create/run", policies=("gate",), wrap="hmac-sha256:new"), at=now)
    watched.detection.look()
    assert rules(watched) == []
    world.pass_time(seconds=11)
    after = world.gate()
    after.detection.look()
    assert rules(after) == ["key-of-no-grant"]


def test_nobody_trains_while_vaults_file_shows_a_theft(world, watched):
    """The line stands there before the keeper says that it is unlocked: no recipe code runs."""
    began = []

    def script(keeper):
        keeper.take_order()
        write(watched, answer("sys/wrapping/rewrap", wrap="hmac-sha256:o"))
        keeper.unlock()
        keeper.wait_for_go()
        began.append(keeper.grant.run)

    world.script = script
    found = run_of(watched)
    assert (found.outcome, began) == ("killed", [])
    assert [one.kind for one in opened(watched)] == ["wrapped-again"]
    with watched.house.store.engine.connect() as connection:
        assert chronicle.accessors(connection, found.id, alive_only=True) == []


def test_a_burst_of_refusals_is_one_alert_about_a_person(watched):
    for n in range(10):
        assert rules(watched) == [], n
        with pytest.raises(Refused):
            admit(watched, request(purpose="serve_custom_tts"))
        watched.detection.look()
    [alert] = raised(watched)
    assert (alert["rule"], alert["about"]["person"]) == ("denied-burst", ENGINEER)
    assert alert["detail"] == {"count": 10, "within_s": 600, "over": 9}


def test_what_an_agreement_becomes_and_who_may_approve_is_seen_in_the_registers(world):
    """Everything that founded this house, read from the log's start."""
    gate = world.gate()
    folder = world.places.app / "configs"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(CONFIG, folder / "detection.yaml")
    gate.registers.read()
    gate.detection.look()
    found = {
        (one["rule"], one["about"].get("agreement") or one["about"].get("person")) for one in raised(gate)
    }
    assert ("policy-edit", "dsa-2026-0001") in found
    assert any(rule == "new-approver" for rule, _ in found)


JUNK = {
    "no JSON": b"nonsense\n",
    "a list": b"[1, 2]\n",
    "half a line that was rotated": b'{"type":"response","req\n',
    "no time": b'{"type":"response","request":{"path":"x"}}\n',
    "bytes": b"\xff\xfe\x00\n",
    "a number too deep": b"[" * 100_000 + b"\n",
}


@pytest.mark.parametrize("line", JUNK.values(), ids=JUNK)
def test_a_foreign_line_is_an_alert_and_stops_no_reading(watched, line):
    with watched.house.places.vault_audit.open("ab") as file:
        file.write(line)
    write(watched, answer("sys/generate-root-token/attempt"))
    assert watched.detection.look()
    assert sorted(rules(watched)) == ["root-attempt", "unread-line"]


def test_a_file_that_cannot_be_read_is_an_alert_not_silence(watched, monkeypatch):
    monkeypatch.setattr(detection, "PATIENCE_S", 0.0)
    watched.house.places.vault_audit.unlink()
    watched.detection.look()
    watched.detection.look()
    assert rules(watched) == ["audit.unreadable"]


def test_a_file_that_is_away_for_a_moment_is_none(watched):
    watched.house.places.vault_audit.unlink()
    watched.detection.look()
    assert rules(watched) == []


def test_a_file_that_was_cut_is_an_alert(watched):
    write(watched, answer("sign/sign/gate"))
    watched.detection.look()
    watched.house.places.vault_audit.write_bytes(b"")
    watched.detection.look()
    assert rules(watched) == ["audit.cut"]


def test_rules_that_cannot_be_read_are_an_alert_and_the_last_ones_stand(watched):
    config = watched.house.places.app / "configs" / "detection.yaml"
    config.write_bytes(config.read_bytes() + b"colour: red\n")
    write(watched, answer("sys/generate-root-token/attempt"))
    watched.detection.look()
    watched.detection.look()
    assert sorted(rules(watched)) == ["detection.rules", "root-attempt"]


def test_a_thousand_voices_in_an_hour_are_one_alert_about_the_person(world, watched, monkeypatch):
    """Counted over runs; here one run with a window that holds them all."""
    world.script = scripts.waits
    run = admit(watched)
    watched.supervision.begin(run)
    reaches(watched, run, RunState.TRAINING)
    config = watched.house.places.app / "configs" / "detection.yaml"
    config.write_bytes(config.read_bytes().replace(b"over: 1000", b"over: 1"))
    found = row(watched, run)
    with watched.house.store.engine.connect() as connection:
        asked = sa.select(credentials.c.audit_hash).where(
            credentials.c.run == run, credentials.c.kind == "token"
        )
        token = connection.execute(asked).scalar_one()
    given = {"policies": ("run-digits-train",), "grant": found.grant, "accessor": token}
    voices = [f"subjects/decrypt/{DATASET}.{subject}" for subject in found.plan["subjects"]]
    now = watched.house.clock()
    write(watched, *(answer(voices[0], **given) for _ in range(3)), at=now)
    watched.detection.look()
    assert rules(watched) == []
    write(watched, answer(voices[1], **given), at=now)
    watched.detection.look()
    [alert] = raised(watched)
    assert (alert["rule"], alert["about"]["person"], alert["detail"]["count"]) == (
        "bulk-decrypt",
        ENGINEER,
        2,
    )


def test_how_far_was_read_is_kept(watched):
    write(watched, answer("sign/sign/gate"))
    watched.detection.look()
    with watched.house.store.engine.connect() as connection:
        kept = {r.source: r.position for r in connection.execute(sa.select(watches))}
    assert kept["vault"]["offset"] == watched.house.places.vault_audit.stat().st_size
    assert kept["vault"]["waiting"] == [] and kept["log"]["index"] > 0


def test_who_takes_many_keys_is_one_alert_and_again_later_another(world, watched):
    """And once a person has closed the incident, it is opened again."""
    for n in range(3):
        lines = [
            answer(f"subjects/decrypt/{DATASET}.spk_{k:04}", accessor="hmac-sha256:thief") for k in range(50)
        ]
        write(watched, *lines, at=watched.house.clock())
        watched.detection.look()
        assert len(raised(watched)) == n + 1
        incident.resume(watched.house, opened(watched)[-1].id, OPERATOR)
        world.pass_time(minutes=2)
    assert len(opened(watched)) == 3


class Turns:
    """Lets a thread of upkeep take a number of turns, and no more."""

    def __init__(self, turns):
        self.left = turns

    def wait(self, _):
        self.left -= 1
        return self.left < 0


def test_a_look_that_fails_is_an_alert_not_silence(watched, monkeypatch):
    def fails(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(detection, "hear", fails)
    write(watched, answer("sign/sign/gate"))
    detection.watch(watched.detection, Turns(2))
    [alert] = raised(watched)
    assert (alert["rule"], alert["detail"]) == ("detection.failed", {"fault": "ZeroDivisionError"})


def test_a_look_that_does_not_come_to_the_end_is_an_alert(watched, monkeypatch):
    monkeypatch.setattr(detection.Detection, "look", lambda _: False)
    detection.watch(watched.detection, Turns(2))
    assert rules(watched) == ["audit.behind"]


def test_looking_has_its_limit_and_goes_on_where_it_stopped(watched, monkeypatch):
    monkeypatch.setattr(detection, "read_on", lambda path, position: read_on(path, position, 1))
    monkeypatch.setattr(audit_tail, "LINE_BYTES", 512)
    write(watched, *(answer("sign/sign/gate") for _ in range(50)), answer("sys/generate-root-token/attempt"))
    assert not watched.detection.look(wait_s=0.0) and rules(watched) == []
    assert watched.detection.look() and rules(watched) == ["root-attempt"]
