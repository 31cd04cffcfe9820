"""Whether a service lives and can work, and its numbers: nothing secret, no person in any label, no 500."""

from __future__ import annotations

import re
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sandbox.errors import Unreachable
from sandbox.service import health
from sandbox.service.health import Readiness
from sandbox.service.lease import Lease
from sandbox.service.metrics import Meter
from tests.api.conftest import served_custodian, served_gate
from tests.api.services import PEOPLE, gate_service
from tests.gate.world import ANNA, AUDITOR, BEN, DATASET, ENGINEER, OPERATOR, World, request
from tests.service.asgi import TestClient


def bearing(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}"}


def test_a_house_in_order_is_ready(house: World):
    client = TestClient(served_gate(house).app)
    assert client.get("/healthz").json() == {"ok": True}
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)
    assert set(answer.json()["parts"]) == {"database", "vault", "engine", "mlflow"}
    assert TestClient(served_custodian(house).app).get("/readyz").json() == {
        "ready": True,
        "parts": {"vault": True, "registers": True, "storage": True},
    }


def test_what_does_not_answer_is_named_and_the_rest_goes_on(house: World):
    house.hangs = {"launcher": ("list",)}
    gate = house.gate()
    client = TestClient(gate_service(gate).app)
    before = health.CHECK_S
    health.CHECK_S = 0.3
    try:
        answer = client.get("/readyz")
    finally:
        health.CHECK_S = before
    assert answer.status_code == 503
    assert answer.json()["parts"] | {"engine": ""} == {
        "database": True,
        "vault": True,
        "engine": "",
        "mlflow": True,
    }
    assert answer.json()["parts"]["engine"] == "no answer in time"
    assert client.get("/healthz").status_code == 200


def test_a_reason_is_a_code_or_a_class_and_never_a_foreign_text():
    def foreign() -> None:
        raise ConnectionError("https://vault:8200 s.token")

    def ours() -> None:
        raise Unreachable("at 10.0.0.7", code="vault.unreachable")

    assert Readiness({"a": foreign, "b": ours, "c": lambda: 1}).parts() == {
        "a": "ConnectionError",
        "b": "vault.unreachable",
        "c": True,
    }


def test_readiness_is_looked_at_once_for_many_who_ask():
    asked, now = [], [0.0]
    readiness = Readiness({"a": lambda: asked.append(1)}, lambda: now[0])
    for _ in range(5):
        assert readiness.parts() == {"a": True}
    assert len(asked) == 1
    now[0] = health.READY_S
    readiness.parts()
    assert len(asked) == 2


def test_nobody_waits_behind_somebody_who_looks():
    entered, free = threading.Event(), threading.Event()

    def slow() -> None:
        entered.set()
        free.wait(30)

    readiness = Readiness({"a": slow})
    looking = threading.Thread(target=readiness.parts)
    looking.start()
    assert entered.wait(30)
    assert readiness.parts() == {"a": "not looked at yet"}
    free.set()
    looking.join(30)
    assert readiness.parts() == {"a": True}


@pytest.mark.parametrize("who", PEOPLE)
def test_numbers_are_for_operator_and_auditor(house: World, who: str):
    client = TestClient(served_custodian(house).app)
    answer = client.get("/metrics", headers=bearing(who) if who else {})
    assert answer.status_code == (200 if who in (OPERATOR, AUDITOR) else 403 if who else 401)


def test_the_gates_numbers(house: World):
    service = served_gate(house)
    client = TestClient(service.app)
    body = {"request": request(dataset="other").to_json()}
    for _ in range(2):
        assert client.post("/v1/runs", json=body, headers=bearing(ENGINEER)).status_code == 403
    client.get("/v1/runs/r-canary1", headers=bearing(ENGINEER))
    text = client.get("/metrics", headers=bearing(OPERATOR)).text
    found = {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["sandbox_requests_total", ("POST", "/v1/runs", "403")] == 2
    assert found["sandbox_requests_total", ("GET", "/v1/runs/{id}", "404")] == 1
    assert found["sandbox_decision_seconds_count", ()] == 2
    assert found["sandbox_live_runs", ("training",)] == 0
    assert found["sandbox_incidents_open", ()] == 0
    assert found["sandbox_log_entries", ()] > 10
    assert found["sandbox_audit_disk_free_bytes", ()] > 0
    assert found["sandbox_database_bytes", ()] > 0
    assert sum(n for (name, _), n in found.items() if name == "sandbox_refusals_total") >= 2
    for word in (*filter(None, PEOPLE), ANNA, BEN, DATASET, "r-canary1"):
        assert not re.search(rf'"{re.escape(word)}"', text), f"a label holds {word}"


def test_refusals_are_counted_by_family():
    meter = Meter()
    meter.refused({"budget.exhausted", "budget.unknown", "consent.none"})
    page = meter.page().decode()
    assert 'sandbox_refusals_total{family="budget"} 1.0' in page
    assert 'sandbox_refusals_total{family="consent"} 1.0' in page


def test_a_gauge_that_fails_is_left_out_and_the_rest_is_told():
    meter = Meter()
    meter.gauge("sandbox_broken", "Broken.", lambda: {"": 1 / 0})
    meter.gauge("sandbox_whole", "Whole.", lambda: {"": 7.0})
    page = meter.page().decode()
    assert "sandbox_whole 7.0" in page and "sandbox_broken" not in page


def test_a_lease_tells_how_long_it_lasts():
    now = [0.0]
    lease = Lease(lambda: 60, lambda: now[0])
    assert lease.left_s() == {}
    assert lease() == 60
    now[0] = 45.0
    assert lease.left_s() == {"": 15.0}
    now[0] = 100.0
    assert lease.left_s() == {"": 0.0}
