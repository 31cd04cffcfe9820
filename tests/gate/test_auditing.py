"""What a gate hands to auditors, held against the auditors' own check."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from sandbox import audit
from sandbox.errors import NotPermitted, Unreachable
from sandbox.gate.ledger import log
from sandbox.gate.routes import auditing, report
from sandbox.gate.routes.auditing import auditing as routes
from sandbox.gate.routes.report import evidence
from sandbox.service import Call, Caller, Reply
from sandbox.tracking.signed import signed_runs
from tests.gate.world import AUDITOR, ENGINEER, OPERATOR, listening, run_of


@pytest.fixture
def ask(gate):
    handlers = {(route.method, route.path): route.handler for route in routes(gate)}

    def ask(name: str, method: str, path: str) -> Any:
        call = Call(Caller(name, 2e9), {}, {}, b"", "", "", lambda: iter(()))
        return handlers[method, path](call)

    return ask


def verified(gate, pack) -> audit.Verified:
    return audit.verify_evidence(
        audit.Evidence.from_json(json.loads(json.dumps(pack))), gate.house.trust("gate")
    )


def test_what_a_gate_hands_out_holds_and_says_what_it_told_mlflow(world, gate, ask):
    made = run_of(gate)
    heard = run_of(gate, listening(str(made.model).replace(" v", "@")))
    found = verified(gate, ask(AUDITOR, "GET", "/v1/evidence"))
    assert found.faults == () and found.log.intact and found.log.covered == found.log.entries
    windows = {window.run: window for window in found.windows}
    assert set(windows) == {made.id, heard.id}
    assert windows[made.id].subjects and windows[made.id].token and windows[made.id].unlocked
    assert not windows[heard.id].subjects and not windows[heard.id].token and windows[heard.id].wraps
    for one in signed_runs(found.statements.values(), found.taints):
        place = f"ml-{one.grant.run}"
        assert one.outcome is world.tracking.outcomes[place]
        assert one.settled == world.tracking.facts[place]
        assert (one.model is not None) is (one.grant.run == made.id)


def test_a_log_that_grows_while_it_is_read_is_signed_again(gate, ask, monkeypatch):
    grows = iter([True, True])

    def read(house):
        if next(grows, False):
            house.store.transact(lambda c: log.append(c, "kill", house.clock(), "b.operator", run="r-2345"))
        return evidence(house)

    monkeypatch.setattr(report, "evidence", read)
    found = verified(gate, ask(AUDITOR, "GET", "/v1/evidence"))
    assert found.faults == () and found.log.covered == found.log.entries


@pytest.mark.parametrize("path", ["/v1/evidence", "/v1/tracking", "/v1/vault-audit", "/v1/tracking/repair"])
def test_whoever_trains_hands_no_evidence_out(ask, path):
    for name in (ENGINEER, "nobody"):
        with pytest.raises(NotPermitted):
            ask(name, "POST" if path.endswith("repair") else "GET", path)


def test_whoever_asks_for_a_repair_stands_in_the_log(gate, ask):
    assert ask(OPERATOR, "POST", "/v1/tracking/repair") == {"left": []}
    entry = json.loads(gate.house.store.read(log.entries)[-1])
    assert (entry["kind"], entry["by"]) == ("repair", OPERATOR)


def test_vaults_own_file_is_handed_out_oldest_first(world, gate, ask):
    newest = gate.house.places.vault_audit
    with pytest.raises(Unreachable) as caught:
        ask(AUDITOR, "GET", "/v1/vault-audit")
    assert caught.value.code == "audit.no_vault_file"
    newest.parent.mkdir(parents=True, exist_ok=True)
    for age, name in enumerate(("", ".1", ".2")):
        path = newest.with_name(newest.name + name)
        path.write_bytes(f"{2 - age}\n".encode())
        os.utime(path, (1000 - age, 1000 - age))
    answer = ask(AUDITOR, "GET", "/v1/vault-audit")
    assert isinstance(answer, Reply) and answer.body == b"0\n1\n2\n"


def test_a_gate_that_never_stops_writing_still_answers(gate, ask, monkeypatch):
    monkeypatch.setattr(auditing, "TRIES", 2)
    asked = []

    def read(house):
        asked.append(house)
        house.store.transact(lambda c: log.append(c, "kill", house.clock(), "b.operator", run="r-2345"))
        return evidence(house)

    monkeypatch.setattr(report, "evidence", read)
    found = verified(gate, ask(AUDITOR, "GET", "/v1/evidence"))
    assert len(asked) == 2
    assert found.faults == ("1 entries at the log's end stand under no checkpoint",)
