"""Draft notices: from facts, at once, one for each clock; they follow the facts until they were sent, and remind."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from sandbox.errors import NotFound, Unreachable
from sandbox.gate.database.tables import alerts
from sandbox.gate.incidents import incident, kill, notices
from sandbox.gate.ledger import log
from sandbox.runs import from_utc, utc
from sandbox.statements import sha256
from tests.gate import scripts
from tests.gate.world import AGREEMENT, ANNA, BEN, DATASET, OPERATOR, run_of

#: Rows and JSON, outer joins and updates: the same on both databases.
pytestmark = pytest.mark.both_databases

CAC = "regulator: CAC"


@pytest.fixture
def robbed(world, gate):
    """A run whose credential was stolen; its incident."""
    world.script = scripts.is_robbed
    run_of(gate)
    return gate.house.store.read(lambda c: c.execute(sa.select(incident.incidents)).one())


def drafted(gate, name):
    notices.draft_missing(gate.house)
    return {one["addressee"]: one for one in gate.house.store.read(lambda c: notices.found(c, name))}


def alerted(gate):
    rows = gate.house.store.read(lambda c: c.execute(sa.select(alerts).order_by(alerts.c.at)).all())
    return [(r.rule, r.about["addressee"]) for r in rows if r.rule.startswith("notice.")]


def test_a_theft_has_its_drafts_at_once(gate, robbed):
    found = drafted(gate, robbed.id)
    assert set(found) == {"party_a", CAC, "final_report"}
    facts, at = found["party_a"]["facts"], from_utc(robbed.at)
    assert (facts["class"], facts["kind"], facts["scope"]) == ("leak", "credential.used", f"run:{robbed.run}")
    assert (facts["agreement"], facts["datasets"], facts["subjects"]) == (AGREEMENT, [DATASET], 2)
    assert facts["runs"] == [robbed.run] and facts["models"] == []
    assert facts["contact"]["email"] == "soc@a.example"
    due = {name: one["due_at"] for name, one in found.items()}
    assert due == {
        "party_a": utc(at + timedelta(hours=1)),
        CAC: utc(at + timedelta(hours=4)),
        "final_report": utc(at + timedelta(days=30)),
    }
    assert found[CAC]["facts"]["trigger"] == "larger"
    assert any("credentials proved dead" in step["what"] for step in facts["timeline"])


def test_its_text_its_file_and_the_log_agree_and_no_pseudonym_stands_in_it(gate, robbed):
    found = drafted(gate, robbed.id)
    with gate.house.store.engine.connect() as connection:
        logged = {e["digest"] for e in log.shown(connection, -1, 5000) if e["kind"] == "notice"}
    folder = gate.house.places.private / "notices"
    files = {sha256(path.read_bytes()): path for path in folder.glob("*.txt")}
    for one in found.values():
        assert one["digest"] in logged and files[one["digest"]].read_text() == one["text"]
        said = json.loads(files[one["digest"]].with_suffix(".json").read_bytes())
        assert said == one["facts"]
        assert ANNA not in one["text"] and BEN not in one["text"]


def test_a_kill_of_a_dataset_counts_whose_voices_are_sealed_in_it(gate):
    name = kill.stop(gate.house, f"dataset:{DATASET}", OPERATOR)["id"]
    facts = drafted(gate, name)["party_a"]["facts"]
    assert (facts["class"], facts["by"], facts["subjects"], facts["runs"]) == ("suspected", OPERATOR, 2, [])


def test_a_draft_follows_the_facts_until_it_was_sent(gate, robbed):
    before = drafted(gate, robbed.id)
    notices.follow(gate.house)
    assert drafted(gate, robbed.id) == before, "nothing changed, so nothing is drafted anew"
    now = gate.house.clock()
    gate.house.store.transact(lambda c: notices.mark_sent(c, robbed.id, "party_a", now, OPERATOR, now))
    incident.resume(gate.house, robbed.id, OPERATOR)
    notices.follow(gate.house)
    after = drafted(gate, robbed.id)
    assert after["party_a"]["digest"] == before["party_a"]["digest"]
    kept = {sha256(path.read_bytes()) for path in (gate.house.places.private / "notices").glob("*.txt")}
    assert kept == {one["digest"] for one in after.values()}, "the file that was sent stands, too"
    assert after[CAC]["digest"] != before[CAC]["digest"] and "closed" in after[CAC]["text"]


def test_what_was_sent_is_in_the_log_and_is_sent_once(gate, robbed):
    drafted(gate, robbed.id)
    now = gate.house.clock()
    [sent] = gate.house.store.transact(
        lambda c: notices.mark_sent(c, robbed.id, "party_a", now, OPERATOR, now)
    )
    assert (sent["sent_at"], sent["sent_by"]) == (utc(now), OPERATOR)
    with pytest.raises(NotFound):
        gate.house.store.transact(lambda c: notices.mark_sent(c, robbed.id, "party_a", now, OPERATOR, now))
    with gate.house.store.engine.connect() as connection:
        told = [e for e in log.shown(connection, -1, 5000) if e["kind"] == "notice-sent"]
    assert [(e["incident"], e["addressee"], e["by"], e["digest"]) for e in told] == [
        (robbed.id, "party_a", OPERATOR, sent["digest"])
    ]


def test_a_deadline_that_comes_near_is_an_alert_and_one_that_is_over_another(world, gate, robbed):
    drafted(gate, robbed.id)

    def remind():
        gate.house.store.transact(lambda c: notices.remind(c, gate.house.clock()))
        return alerted(gate)

    world.pass_time(minutes=44)
    assert remind() == []
    world.pass_time(minutes=1, seconds=5)
    near = [("notice.deadline", "party_a")]
    assert remind() == near and remind() == near
    world.pass_time(minutes=15)
    assert remind() == [*near, ("notice.late", "party_a")]
    now = gate.house.clock()
    for addressee in ("party_a", CAC):
        gate.house.store.transact(
            lambda c, to=addressee: notices.mark_sent(c, robbed.id, to, now, OPERATOR, now)
        )
    world.pass_time(hours=9)
    assert len(remind()) == 2, "what was sent reminds nobody"


def test_a_notice_is_drafted_while_vault_hangs(world, gate, robbed, monkeypatch):
    def away(*_):
        raise Unreachable("Vault does not answer")

    monkeypatch.setattr(gate.house.vault, "register_heads", away, raising=False)
    assert "party_a" in drafted(gate, robbed.id)


def test_a_drill_is_no_incident_to_tell_of(gate):
    gate.registers.read()
    kill.stop(gate.house, f"dataset:{DATASET}", OPERATOR, kind="drill")
    assert notices.draft_missing(gate.house) == []


def test_an_incident_without_an_agreement_has_no_notice(gate):
    name = kill.stop(gate.house, "run:r-9999", OPERATOR)["id"]
    with pytest.raises(NotFound) as caught:
        drafted(gate, name)
    assert caught.value.code == "notice.none"


def test_a_gate_that_died_before_it_drafted_drafts_when_it_is_back(world, gate, robbed):
    after = world.gate()
    after.registers.read()
    assert notices.draft_missing(after.house) == [robbed.id]
    assert notices.draft_missing(after.house) == []
