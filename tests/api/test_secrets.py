"""Secrets that pass through leave nothing behind: not in the journal, not in problems, not in any file of a service."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.service import Call, Route, application, journal
from sandbox.service.idempotency import KeptAnswers
from tests.api.conftest import served_gate
from tests.api.services import Service, custodian_service, gate_service, verify
from tests.fakes.studio import STEWARD
from tests.gate.world import ENGINEER, OPERATOR, World
from tests.service.asgi import TestClient

CANARY = "canary4471"
#: What a caller shows once, and what must be found nowhere.
BEARER, CODE, PASSWORD = f"{CANARY}-bearer", f"{CANARY}-code", f"{CANARY}-password"
QUERY, FIELD, PATH = f"{CANARY}-query", f"{CANARY}-field", f"{CANARY}-path"


@pytest.fixture
def heard() -> Iterator[io.StringIO]:
    """The journal, at its most talkative, with every library's words."""
    root, stream = logging.getLogger(), io.StringIO()
    before, level = root.handlers[:], root.level
    journal.configure("test", stream)
    root.setLevel(logging.DEBUG)
    asking = [logging.getLogger(name) for name in ("httpx", "httpcore")]  # the test's own side
    for logger in asking:
        logger.disabled = True
    yield stream
    for logger in asking:
        logger.disabled = False
    root.handlers[:] = before
    root.setLevel(level)


def ask_everything(service: Service) -> list[str]:
    """Every route, by nobody, somebody and somebody who may, with a canary wherever a caller can put one."""
    client, answers = TestClient(service.app), []
    for route in service.routes:
        path = route.path
        for name in ("id", "digest", "subject", "dataset", "consignment", "person", "image", "model"):
            path = path.replace("{" + name + "}", PATH)
        for n, who in enumerate((BEARER, ENGINEER, STEWARD, OPERATOR)):
            headers = {
                "Authorization": f"Bearer {who}",
                "Totp-Code": CODE,
                "Cookie": f"sandbox={BEARER}",
                "Idempotency-Key": f"k-{n}",
                "Last-Event-ID": QUERY,
            }
            said = {"password": PASSWORD, "secret": FIELD, "witness": {"x": FIELD}, "name": [FIELD]}
            content = json.dumps(said) if route.method == "POST" else None
            answer = client.request(
                route.method, f"{path}?after={QUERY}&x={QUERY}", headers=headers, content=content
            )
            answers.append(f"{route.method} {route.path} {answer.status_code} {answer.text}")
    return answers


@pytest.mark.parametrize("which", ["gate", "custodian"])
def test_no_secret_of_a_request_is_left_behind(house: World, heard: io.StringIO, tmp_path: Path, which: str):
    answers = KeptAnswers(tmp_path / "answers.db")
    if which == "gate":
        service = served_gate(house)
        service = gate_service(house.gates[-1], service.known, answers)
    else:
        service = custodian_service(house.desk, {}, answers)
    told = ask_everything(service)
    assert len(told) == 4 * len(service.routes)
    answers.close()

    for secret in (BEARER, CODE, PASSWORD, QUERY, FIELD):
        assert secret not in heard.getvalue(), f"the journal holds {secret}"
        for answer in told:
            assert secret not in answer, answer[:300]
        for folder in (house.state, tmp_path):
            for file in folder.rglob("*"):
                if file.is_file():
                    assert secret.encode() not in file.read_bytes(), f"{file.name} holds {secret}"
    assert PATH not in heard.getvalue()


def test_a_first_password_and_a_ticket_are_told_and_kept_nowhere(
    house: World, heard: io.StringIO, tmp_path: Path
):
    answers = KeptAnswers(tmp_path / "answers.db")
    person = {
        "person": "eng.new",
        "party": "B",
        "roles": ["ml_engineer"],
        "nda": {"expires": "2027-01-10"},
        "training": {"course": "x", "valid_until": "2027-01-12"},
    }
    custodian = TestClient(custodian_service(house.desk, {}, answers).app)
    gate = TestClient(gate_service(house.gate(), {}, answers).app)
    headers = {"Authorization": f"Bearer {STEWARD}", "Idempotency-Key": "k-1"}
    password = custodian.post("/v1/people", json=person, headers=headers).json()["password"]
    headers["Idempotency-Key"] = "k-2"
    ticket = gate.post("/v1/browser-sessions", headers=headers).json()["url"].rpartition("/")[2]
    answers.close()
    for secret in (password, ticket):
        assert len(secret) > 20 and secret not in heard.getvalue()
        for folder in (house.state, tmp_path):
            assert not [f for f in folder.rglob("*") if f.is_file() and secret.encode() in f.read_bytes()]


def test_a_fault_that_quotes_a_request_is_told_by_class_and_place(heard: io.StringIO):
    def handle(call: Call) -> dict[str, str]:
        raise ValueError(f"could not read {call.raw!r}")

    client = TestClient(application([Route("POST", "/v1/x", handle)], verify))
    answer = client.post(
        "/v1/x", content=json.dumps({"a": FIELD}), headers={"Authorization": "Bearer eng.li"}
    )
    assert (answer.status_code, answer.json()["code"]) == (500, "internal.error")
    assert FIELD not in answer.text and FIELD not in heard.getvalue()
    assert "ValueError" in heard.getvalue() and "request.failed" in heard.getvalue()
