"""Access at the terminal, against the custodian's real routes: asked for, decided, broken glass, looked at again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from sandbox import client
from sandbox.cli.access_review import usage
from sandbox.client import Service
from sandbox.custodian.desk import Desk
from sandbox.custodian.people import enter_person
from tests.cli.conftest import Gate, Said, Sandbox, Somebody
from tests.custodian.test_people import person
from tests.fakes.custody import FakeCustody
from tests.fakes.served import served, speak
from tests.fakes.studio import STEWARD, make_desk, open_desk

As = Callable[..., Said]
RUNS = [
    {
        "id": "r-1",
        "person": "eng.li",
        "dataset": "digits",
        "purpose": "train",
        "asked_at": "2026-10-24T12:00:00Z",
    },
    {
        "id": "r-2",
        "person": "eng.li",
        "dataset": "digits@2",
        "purpose": "train",
        "asked_at": "2026-11-20T12:00:00Z",
    },
    {
        "id": "r-3",
        "person": "eng.li",
        "dataset": "digits",
        "purpose": "test",
        "asked_at": "2026-11-21T12:00:00Z",
    },
    {
        "id": "r-4",
        "person": "eng.wu",
        "dataset": "digits",
        "purpose": "train",
        "asked_at": "2026-11-22T12:00:00Z",
    },
    {
        "id": "r-5",
        "person": "eng.li",
        "dataset": None,
        "purpose": "train",
        "asked_at": "2026-11-23T12:00:00Z",
    },
    {
        "id": "r-0",
        "person": "eng.li",
        "dataset": "digits",
        "purpose": "train",
        "asked_at": "2026-01-01T12:00:00Z",
    },
]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = open_desk(make_desk(tmp_path / "c", FakeCustody()))
    for name, roles in (
        ("eng.li", ["ml_engineer"]),
        ("eng.wu", ["ml_engineer"]),
        ("b.operator", ["operator"]),
    ):
        enter_person(desk, STEWARD, person(name, roles=roles))
    return desk


@pytest.fixture
def told(desk: Desk, tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[As]:
    """``told("eng.li", "access", "list")``: the command line as that person."""
    gate = Gate({("GET", "/v1/runs"): httpx.Response(200, json={"items": RUNS})})

    def asking(state: Path) -> Service:
        return Service("gate", state, Somebody(), transport=httpx.MockTransport(gate), sleep=lambda s: None)

    monkeypatch.setattr(client, "gate", asking)
    with served(desk, tmp_path / "api.sock") as socket:

        def speaking(who: str, *words: str) -> Said:
            monkeypatch.setattr(client, "custodian", lambda state: speak(socket, who))
            return sandbox(*words)

        yield speaking


ASK = (
    "access",
    "request",
    "--dataset",
    "digits",
    "--purpose",
    "train",
    "--reason",
    "release 2",
    "--until",
    "2026-12-24",
)


def asked(told: As, who: str = "eng.li") -> str:
    return str(json.loads(told(who, *ASK, "--json").out)["id"])


def test_an_engineer_asks_and_the_approver_grants(told: As) -> None:
    said = told("eng.li", *ASK)
    assert said.code == 0 and "asked      rq-" in said.out
    listed = told(STEWARD, "access", "requests").out
    assert "release 2 (eng.li)" in listed and "pending" in listed
    request = json.loads(told(STEWARD, "access", "requests", "--json").out)["id"]
    said = told(STEWARD, "access", "approve", request, "--until", "2026-12-01")
    assert said.code == 0 and "eng.li digits train until 2026-12-01" in said.out
    assert request not in told(STEWARD, "access", "requests").out
    assert "approved" in told("eng.li", "access", "requests", "--all").out


def test_a_reason_is_shown_as_it_was_written(told: As) -> None:
    words = [word.replace("release 2", "[red]x[/blue] [/] 语音") for word in ASK]
    assert told("eng.li", *words).code == 0
    said = told(STEWARD, "access", "requests")
    assert said.code == 0 and "[red]x[/blue] [/] 语音 (eng.li)" in said.out


def test_a_denial_and_ones_own_request_are_said_plainly(told: As) -> None:
    request = asked(told)
    said = told("eng.li", "access", "approve", request)
    assert said.code == 3 and "party_a_approver" in said.err
    assert told(STEWARD, "access", "deny", request, "--reason", "called off").code == 0
    said = told(STEWARD, "access", "approve", request)
    assert said.code != 0 and "access.request_decided" in said.err


def test_what_could_never_be_granted_is_exit_code_3_with_every_reason(told: As) -> None:
    words = [word.replace("2026-12-24", "2027-12-24") for word in ASK]
    said = told("eng.li", *words)
    assert said.code == 3
    for code in ("access.outlives_nda", "access.outlives_training", "access.too_long"):
        assert code in said.err


def test_break_glass_is_asked_for_by_one_and_opened_by_another(told: As) -> None:
    words = ("access", "break-glass", "--person", "eng.wu", "--dataset", "digits", "--purpose", "test")
    said = told("b.operator", *words, "--for", "PT2H", "--reason", "i-3kd9")
    assert said.code == 0 and "another person: sandbox access confirm rq-" in said.out
    assert "120 min, once confirmed" in told(STEWARD, "access", "requests").out
    request = json.loads(told(STEWARD, "access", "requests", "--json").out)["id"]
    assert told("b.operator", "access", "confirm", request).code == 3
    said = told(STEWARD, "access", "confirm", request)
    assert said.code == 0 and "opened     ac-" in said.out
    assert told("b.operator", *words, "--for", "PT5H", "--reason", "x").code == 2


def test_the_review_shows_how_each_access_was_used_and_takes_one_word(told: As, desk: Desk) -> None:
    access = json.loads(told(STEWARD, "access", "approve", asked(told), "--json").out)["access"]
    other = json.loads(told(STEWARD, "access", "approve", asked(told, "eng.wu"), "--json").out)["access"]
    shown = told(STEWARD, "access", "review").out
    assert access in shown and "r-2" in shown and "by 2027-02-24" in shown
    desk.clock.now += timedelta(days=20)  # type: ignore[attr-defined]
    said = told(STEWARD, "access", "review", "--keep", access, "--remove", other)
    assert said.code == 0 and f"kept       {access}" in said.out and f"removed    {other}" in said.out
    assert [
        row["id"] for row in map(json.loads, told(STEWARD, "access", "review", "--json").out.splitlines())
    ] == [access]
    assert told(STEWARD, "access", "review", "--keep", access, "--remove", access).code == 2
    assert told("eng.li", "access", "review").code == 3


def test_use_is_counted_by_person_dataset_and_purpose() -> None:
    row = {"id": "ac-1", "person": "eng.li", "dataset": "digits", "purposes": ["train"]}
    idle = {"id": "ac-2", "person": "eng.li", "dataset": "voices", "purposes": ["train"]}
    found = usage([row, idle], RUNS, datetime(2026, 11, 24, 12, tzinfo=UTC))
    assert found["ac-1"] == {"last_run": "r-2", "last_used": "2026-11-20T12:00:00Z", "runs": 2}
    assert found["ac-2"] == {"last_run": "", "last_used": "", "runs": 0}
