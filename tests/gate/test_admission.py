"""Asking for a run: every refusal at once, and decision, reservation and log entry together or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa

from sandbox.custodian.status import set_status
from sandbox.errors import Conflict, NotFound, Refused, Usage
from sandbox.gate.database.tables import budget as ledger
from sandbox.gate.database.tables import decisions, models, runs
from sandbox.gate.deciding.admission import ATTEMPTS
from sandbox.gate.incidents import incident, kill
from sandbox.gate.ledger import budget, log
from sandbox.policy import epsilon
from sandbox.policy.decide import decide
from sandbox.policy.facts import Facts
from sandbox.runs import Compute, Privacy, Request, recipe_digest
from tests.fakes.studio import STEWARD
from tests.gate.world import (
    AGREEMENT,
    ANNA,
    BEN,
    ENGINEER,
    HUM,
    OPERATOR,
    OTHER,
    admit,
    listening,
    request,
    row,
    run_of,
)

pytestmark = pytest.mark.both_databases


def rows(gate, table: sa.Table) -> list[Any]:
    return gate.house.store.read(lambda c: c.execute(sa.select(table)).all())


def entries(gate, kind: str) -> list[dict[str, Any]]:
    found = [json.loads(entry) for entry in gate.house.store.read(log.entries)]
    return [entry for entry in found if entry["kind"] == kind]


def test_an_admitted_run_is_decided_reserved_and_logged(gate):
    found = gate.admission.ask(request(), ENGINEER)
    (decision,) = rows(gate, decisions)
    (entry,) = entries(gate, "decision")
    assert (decision.id, decision.run, decision.permitted) == (found.decision, found.run, True)
    assert (entry["decision"], entry["run"], entry["by"]) == (found.decision, found.run, ENGINEER)
    assert [(r.kind, r.subject) for r in rows(gate, ledger)] == [("reserved", ANNA), ("reserved", BEN)]
    assert [e["state"] for e in entries(gate, "state")] == ["admitted"]
    assert row(gate, found.run).plan["subjects"] == [ANNA, BEN]


def test_a_decision_can_be_replayed(gate):
    gate.admission.ask(request(), ENGINEER)
    (kept,) = rows(gate, decisions)
    again = decide(Request.from_json(kept.request), Facts.from_json(kept.facts))
    assert (
        again.permitted
        and again.to_predicate()["inputs_digest"] == entries(gate, "decision")[0]["inputs_digest"]
    )


def test_every_refusal_is_listed_and_nothing_is_reserved(world, gate):
    set_status(world.desk, STEWARD, AGREEMENT, "suspended")
    kill.stop(gate.house, f"agreement:{AGREEMENT}", OPERATOR)
    asked = request(purpose="optimise", subjects=(ANNA, "spk_nobody"), compute=Compute(time_limit_s=1 << 20))
    with pytest.raises(Refused) as refusal:
        gate.admission.ask(asked, OTHER)
    codes = {reason.code for reason in refusal.value.reasons}
    assert {"agreement.suspended", "incident.open"} <= codes and len(codes) >= 6
    (decision,) = rows(gate, decisions)
    assert refusal.value.decision == decision.id and not decision.permitted
    assert {reason["code"] for reason in decision.reasons} == codes
    assert set(entries(gate, "decision")[0]["reasons"]) == codes
    assert not rows(gate, runs) and not rows(gate, ledger)


def test_asking_only_for_a_decision_makes_no_run(gate):
    found = gate.admission.ask(request(), ENGINEER, only_decide=True)
    assert (found.run, rows(gate, runs), rows(gate, ledger)) == ("", [], [])
    assert len(entries(gate, "decision")) == len(rows(gate, decisions)) == 1


def test_the_same_key_is_the_same_run(gate):
    first = gate.admission.ask(request(), ENGINEER, key="k-1")
    assert gate.admission.ask(request(), ENGINEER, key="k-1") == first
    assert gate.admission.ask(request(), ENGINEER, key="k-2") != first
    assert len(rows(gate, runs)) == 2


def test_the_same_key_is_the_same_run_after_a_restart(world, gate):
    first = gate.admission.ask(request(), ENGINEER, key="k-1")
    assert world.gate().admission.ask(request(), ENGINEER, key="k-1") == first


def test_a_write_that_fails_leaves_neither_decision_nor_reservation(gate, monkeypatch):
    def fails(*_: Any) -> None:
        raise Conflict("the database is in the way")

    monkeypatch.setattr(budget, "reserve", fails)
    before = len(gate.house.store.read(log.entries))
    with pytest.raises(Conflict):
        gate.admission.ask(request(), ENGINEER)
    assert not rows(gate, decisions) and not rows(gate, runs)
    assert len(gate.house.store.read(log.entries)) == before


def overtake(gate, monkeypatch, times: int) -> list[int]:
    """Somebody else is admitted between each of the first snapshots and its transaction."""
    gather, asked = gate.admission._knowledge.gather, []

    def slow(wanted: Request, person: str):
        snapshot = gather(wanted, person)
        asked.append(len(asked))
        if len(asked) <= times:
            gate.house.store.transact(lambda c: c.execute(ledger.insert().values(**_row(len(asked)))))
        return snapshot

    first = admit(gate)
    monkeypatch.setattr(gate.admission._knowledge, "gather", slow)

    def _row(number: int) -> dict[str, Any]:
        return {"run": first, "kind": f"x{number}", "dataset": "digits", "subject": ANNA, "at": ""}

    return asked


def test_facts_that_moved_are_gathered_again(gate, monkeypatch):
    asked = overtake(gate, monkeypatch, 2)
    assert gate.admission.ask(request(), ENGINEER).run
    assert len(asked) == 3 and len(rows(gate, decisions)) == 2


def test_who_is_always_overtaken_is_told_so(gate, monkeypatch):
    asked = overtake(gate, monkeypatch, 99)
    with pytest.raises(Conflict) as fault:
        gate.admission.ask(request(), ENGINEER)
    assert fault.value.code == "admission.busy" and len(asked) == ATTEMPTS
    assert len(rows(gate, decisions)) == 1


def test_no_more_runs_live_than_the_machine_allows(gate):
    admit(gate), admit(gate)
    with pytest.raises(Refused) as refusal:
        admit(gate)
    assert [reason.code for reason in refusal.value.reasons] == ["compute.busy"]


SCOPES = {
    "agreement": f"agreement:{AGREEMENT}",
    "dataset": "dataset:digits",
    "recipe": f"recipe:{recipe_digest(HUM)}",
    "person": "person:eng.li",
    "subject": "subject:spk_anna",
    "subject of a dataset": "subject:digits/spk_anna",
}


@pytest.mark.parametrize("scope", SCOPES.values(), ids=SCOPES)
def test_while_an_incident_is_open_nothing_of_its_scope_is_admitted(gate, scope):
    opened = kill.stop(gate.house, scope, OPERATOR)
    with pytest.raises(Refused) as refusal:
        admit(gate)
    assert [(r.code, r.about) for r in refusal.value.reasons] == [("incident.open", scope)]
    incident.resume(gate.house, opened["id"], OPERATOR)
    assert admit(gate)


def test_an_incident_elsewhere_refuses_nothing(gate):
    kill.stop(gate.house, "dataset:voices", OPERATOR)
    assert admit(gate)


def test_privacy_is_reserved_at_the_granted_noise_until_it_is_used_up(gate, monkeypatch):
    monkeypatch.setattr(epsilon, "sigma_for", lambda *_: 2.0)  # searching for it is tested with the policy
    private = Privacy("speaker", 4.0, 1e-5, 1.0, 1.0, accept_noise=True)
    for _ in range(2):
        gate.admission.ask(request(privacy=private), ENGINEER)
        gate.house.store.transact(lambda c: c.execute(runs.update().values(state="settled")))
    assert {(r.sigma, r.epsilon, r.steps) for r in rows(gate, ledger)} == {(2.0, 4.0, 4)}
    with pytest.raises(Refused) as refusal:
        gate.admission.ask(request(privacy=private), ENGINEER)
    assert {(r.code, r.about) for r in refusal.value.reasons} == {
        ("budget.exhausted", ANNA),
        ("budget.exhausted", BEN),
    }
    assert len(rows(gate, ledger)) == 4


def test_a_grant_holds_only_what_was_asked_for(gate):
    run = admit(gate, request(subjects=(ANNA,), parameters={"steps": 8}))
    plan = row(gate, run).plan
    assert plan["subjects"] == [ANNA] and plan["parameters"] == {"steps": 8}
    assert [a["path"] for a in plan["artifacts"]] == ["model-4.safetensors", "model-8.safetensors"]
    assert plan["channels"] == {"metric_points": 10, "text": False}
    assert [r.subject for r in rows(gate, ledger)] == [ANNA]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"recipe_digest": "9" * 64}, NotFound),
        ({"recipe": "other"}, Usage),
        ({"parameters": {"steps": 101}}, Usage),
        ({"parameters": {"layers": 2}}, Usage),
        ({"inputs": {"model": "hum@latest"}}, Usage),
        ({"inputs": {"model": "hum@1"}}, NotFound),
    ],
    ids=["no such recipe", "another name", "out of bounds", "unknown", "no version", "no such model"],
)
def test_what_cannot_be_understood_is_not_decided(gate, changes, kind):
    with pytest.raises(kind):
        gate.admission.ask(request(**changes), ENGINEER)
    assert not rows(gate, decisions)


def test_a_version_that_was_never_sealed_is_refused(gate):
    with pytest.raises(Refused) as refusal:
        admit(gate, request(dataset="digits@2"))
    assert "dataset.unknown" in {reason.code for reason in refusal.value.reasons}
    assert admit(gate, request(dataset="digits@1"))


def test_a_run_on_a_model_answers_for_every_voice_in_it(gate):
    run_of(gate)
    assert [f"{m.name}@{m.version}" for m in rows(gate, models)] == ["hum@1"]
    run = admit(gate, listening())
    (given,) = row(gate, run).plan["inputs"]
    assert (given["path"], given["origin"]) == ("model", "model-4.safetensors")
    decision = rows(gate, decisions)[-1] if rows(gate, decisions)[-1].run == run else rows(gate, decisions)[0]
    assert decision.facts["inputs"]["model"]["speakers"] == [["digits", ANNA], ["digits", BEN]]
