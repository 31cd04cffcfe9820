"""``sandbox audit replay`` against a gate's own routes and database: ten thousand decisions, and altered ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from sandbox import client
from sandbox.cli.main import main
from sandbox.client import Service
from sandbox.errors import NotPermitted, SandboxError
from sandbox.gate.console.sessions import Sessions
from sandbox.gate.database.tables import decisions
from sandbox.gate.gate import Gate
from sandbox.gate.ledger import log
from sandbox.gate.routes.api import routes
from sandbox.policy.decide import decide
from sandbox.runs import utc
from sandbox.service import Call, Caller
from sandbox.statements import canonical_json, sha256
from tests.fakes.served import Name
from tests.gate.world import AUDITOR, ENGINEER, OPERATOR, request
from tests.policy import cases

MANY = 10_000


@pytest.fixture
def ask(gate: Gate) -> Callable[..., Any]:
    found = {(route.method, route.path): route.handler for route in routes(gate, Sessions())}

    def ask(name: str, path: str, query: dict[str, str] | None = None, **params: str) -> Any:
        call = Call(Caller(name, 2e9), params, query or {}, b"", "", "", lambda: iter(()))
        return found["GET", path](call)

    return ask


@pytest.fixture
def replayed(ask, monkeypatch, capsys) -> Callable[..., tuple[int, str]]:
    """``sandbox audit replay`` of somebody, spoken to the gate's handlers: exit code and output."""

    def answer(asked: httpx.Request) -> httpx.Response:
        name = asked.headers["Authorization"].removeprefix("Bearer ")
        try:
            return httpx.Response(200, json=ask(name, asked.url.path, dict(asked.url.params)))
        except SandboxError as fault:
            return httpx.Response(403, json={"code": fault.code, "detail": fault.message, "status": 403})

    def replayed(*options: str, name: str = AUDITOR) -> tuple[int, str]:
        monkeypatch.setattr(
            client,
            "gate",
            lambda state: Service("gate", state, Name(name), transport=httpx.MockTransport(answer)),
        )
        capsys.readouterr()
        code = main(["audit", "replay", *options])
        return code, capsys.readouterr().out

    return replayed


@pytest.fixture
def decided(gate: Gate) -> list[str]:
    """A permission, a refusal, and one that only an open incident refused."""
    made = [gate.admission.ask(request(), ENGINEER, only_decide=True).decision]
    for name in ("nobody", AUDITOR):
        with pytest.raises(SandboxError) as caught:
            gate.admission.ask(request(), name)
        made.append(caught.value.decision)
    return made


def change(gate: Gate, decision: str, **values: Any) -> None:
    gate.house.store.transact(
        lambda c: c.execute(decisions.update().where(decisions.c.id == decision).values(**values))
    )


def stored(gate: Gate, decision: str) -> Any:
    asked = sa.select(decisions).where(decisions.c.id == decision)
    return gate.house.store.read(lambda c: c.execute(asked).one())


def many(count: int) -> Iterator[dict[str, Any]]:
    """Decisions of every kind, each of its own moment: the answer is the kind's, the digest its own facts'."""
    kinds = []
    for asked, facts in [*(build() for build in cases.CASES.values()), cases.run()]:
        found = decide(asked, facts)
        said = {**found.to_predicate(), "reasons": [reason.code for reason in found.reasons]}
        kinds.append((asked.to_json(), facts, found, said))
    for n in range(count):
        asked, facts, found, said = kinds[n % len(kinds)]
        kept = {**facts.to_json(), "now": utc(facts.now + timedelta(seconds=n // len(kinds)))}
        yield {
            "id": f"d-{n:06}",
            "run": None,
            "person": facts.name,
            "permitted": found.permitted,
            "request": asked,
            "facts": kept,
            "reasons": [asdict(reason) for reason in found.reasons],
            "at": kept["now"],
            "said": {**said, "inputs_digest": sha256(canonical_json([asked, kept]))},
        }


def keep(gate: Gate, count: int) -> None:
    """``count`` decisions and their entries of the log, in one transaction."""
    rows = list(many(count))

    def write(connection: sa.Connection) -> None:
        for row in rows:
            said = row.pop("said")
            now = cases.w.NOW
            row["entry"] = log.append(connection, "decision", now, row["person"], decision=row["id"], **said)
        connection.execute(decisions.insert(), rows)

    gate.house.store.transact(write)


def test_ten_thousand_decisions_come_out_the_same(gate, replayed):
    keep(gate, MANY)
    code, out = replayed("--json")
    assert (code, json.loads(out)) == (
        0,
        {"holds": True, "decisions": MANY, "same": MANY, "other_rules": 0, "differ": []},
    )


def test_one_of_many_that_was_altered_is_named(gate, replayed):
    keep(gate, 300)
    altered = stored(gate, "d-000242")
    change(gate, altered.id, facts={**altered.facts, "now": "2026-12-24T00:00:00Z"})
    code, out = replayed()
    assert code == 6
    assert "300 decided again from their stored facts: 299 the same, 1 not" in out
    assert (
        "✘ d-000242" in out
        and out.count("✘") == 1
        and "not those that the log names" in " ".join(out.split())
    )


def test_what_a_gate_decided_comes_out_the_same(gate, decided, replayed):
    code, out = replayed()
    assert (code, out) == (0, "decisions    3 decided again from their stored facts: 3 the same, 0 not\n")


def test_an_incident_that_the_gate_added_is_no_difference(gate, ask, decided, replayed):
    from sandbox.gate.incidents import kill

    kill.stop(gate.house, "person:eng.li", OPERATOR)
    with pytest.raises(SandboxError) as caught:
        gate.admission.ask(request(), ENGINEER)
    assert [reason["code"] for reason in stored(gate, caught.value.decision).reasons] == ["incident.open"]
    code, out = replayed("--json")
    assert code == 0 and json.loads(out)["same"] == 4


def test_a_refusal_turned_into_a_permission_is_named(gate, decided, replayed):
    change(gate, decided[1], permitted=True, reasons=[])
    code, out = replayed("--json")
    found = json.loads(out)
    assert code == 6 and (found["decisions"], found["same"]) == (3, 2)
    (one,) = found["differ"]
    assert one["decision"] == decided[1] and one["person"] == "nobody"
    assert one["faults"][0].startswith("the rules say person.unknown (nobody)")


def test_a_decision_that_was_taken_away_is_named(gate, decided, replayed):
    gate.house.store.transact(lambda c: c.execute(decisions.delete().where(decisions.c.id == decided[2])))
    code, out = replayed("--json")
    found = json.loads(out)
    assert code == 6 and (found["decisions"], found["same"]) == (2, 2)
    assert [(one["decision"], one["faults"]) for one in found["differ"]] == [
        (decided[2], ["the log tells of it, and it is not stored"])
    ]


def test_a_decision_that_nobody_logged_is_named(gate, decided, replayed):
    row = stored(gate, decided[0])
    gate.house.store.transact(
        lambda c: c.execute(decisions.insert().values(**{**row._mapping, "id": "d-zzzzzz"}))
    )
    code, out = replayed("--json")
    assert code == 6
    assert [(one["decision"], one["faults"]) for one in json.loads(out)["differ"]] == [
        ("d-zzzzzz", ["the log tells nothing of it"])
    ]


def test_a_gate_that_decides_meanwhile_is_no_difference(gate, decided, replayed, ask, monkeypatch):
    """The decision comes after the log was read and before the decisions are."""
    pages, more = Service.pages, []

    def read(self, path, params=None):
        if path == "/v1/decisions":
            more.append(gate.admission.ask(request(), ENGINEER, only_decide=True).decision)
        return pages(self, path, params)

    monkeypatch.setattr(Service, "pages", read)
    code, out = replayed("--json")
    assert code == 0 and len(more) == 1 and json.loads(out)["same"] == 4


def test_the_gate_itself_says_of_one_decision_that_its_facts_were_altered(gate, ask, decided):
    assert ask(AUDITOR, "/v1/decisions/{id}/replay", id=decided[0])["same"] is True
    facts = stored(gate, decided[0]).facts
    change(gate, decided[0], facts={**facts, "machine": {**facts["machine"], "live_runs_max": 3}})
    found = ask(AUDITOR, "/v1/decisions/{id}/replay", id=decided[0])
    assert (found["same"], found["faults"]) == (False, ["its stored facts are not those that the log names"])


def test_whole_decisions_are_for_who_watches(ask, decided, replayed):
    for query in ({}, {"whole": "true"}):
        with pytest.raises(NotPermitted):
            ask(ENGINEER, "/v1/decisions", query)
    assert "facts" not in ask(AUDITOR, "/v1/decisions")["items"][0]
    assert set(ask(AUDITOR, "/v1/decisions", {"whole": "true"})["items"][0]) >= {
        "request",
        "facts",
        "reasons",
    }
    assert replayed(name=ENGINEER) == (3, "")
