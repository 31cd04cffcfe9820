"""The client against a stub service: every answer a service can give becomes an object or the right error."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from sandbox import errors
from sandbox.client import Service, tar_stream
from sandbox.client.events import parse
from sandbox.client.problems import problem
from sandbox.service.problems import problem as described


class Somebody:
    def token(self) -> str:
        return "header.body.signature"


def service(handler: Callable[[httpx.Request], httpx.Response]) -> Service:
    return Service(
        "gate",
        Path("/nowhere"),
        Somebody(),
        transport=httpx.MockTransport(handler),
        sleep=lambda s: None,
    )


def test_every_request_says_who_asks() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json={})

    with service(answer) as gate:
        gate.get("/v1/runs")
        gate.post("/v1/runs", {})
    assert seen == ["Bearer header.body.signature"] * 2


def test_a_post_carries_an_idempotency_key_and_the_given_one_wins() -> None:
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["idempotency-key"])
        return httpx.Response(200, json={})

    with service(answer) as gate:
        gate.post("/v1/runs", {})
        gate.post("/v1/runs", {}, idempotency_key="mine")
    assert len(keys[0]) == 32 and keys[1] == "mine"


def test_a_refusal_comes_back_with_all_its_reasons() -> None:
    reasons = [
        {
            "code": "consent.withdrawn",
            "about": "spk_7f3a",
            "why": "withdrawn",
            "mend": "leave out",
            "clause": "7",
        },
        {
            "code": "person.training_expired",
            "about": "eng.li",
            "why": "ended",
            "mend": "renew it",
        },
    ]
    body = {
        "code": "request.refused",
        "detail": "refused",
        "reasons": reasons,
        "decision": "d-55e1",
        "status": 422,
    }
    with (
        service(lambda request: httpx.Response(422, json=body)) as gate,
        pytest.raises(errors.Refused) as caught,
    ):
        gate.post("/v1/runs", {})
    assert [reason.code for reason in caught.value.reasons] == [
        "consent.withdrawn",
        "person.training_expired",
    ]
    assert caught.value.decision == "d-55e1"
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "identity.invalid", errors.IdentityInvalid),
        (403, "person.not_permitted", errors.NotPermitted),
        (403, "", errors.NotPermitted),
        (404, "", errors.NotFound),
        (409, "state.conflict", errors.Conflict),
        (400, "input.invalid", errors.Usage),
        (422, "something.new", errors.Usage),
        (503, "vault.unreachable", errors.VaultUnreachable),
        (500, "", errors.SandboxError),
        (422, "evidence.mismatch", errors.EvidenceMismatch),
    ],
)
def test_a_problem_is_the_error_its_service_meant(status: int, code: str, kind: type[Exception]) -> None:
    assert type(problem(status, {"code": code, "detail": "x"})) is kind


def test_a_service_that_is_not_there_is_unreachable() -> None:
    gate = Service("gate", Path("/nowhere/api.sock"), Somebody())
    with pytest.raises(errors.Unreachable, match="does not answer"):
        gate.get("/v1/runs")
    assert not gate.healthy()


def test_an_answer_that_is_no_json_is_no_result() -> None:
    answer = httpx.Response(200, text="<html>")
    with (
        service(lambda request: answer) as gate,
        pytest.raises(errors.Unreachable, match="no JSON"),
    ):
        gate.get("/v1/runs")


def test_all_pages_of_a_list_are_walked() -> None:
    pages = {
        "": {"items": [{"id": "r-1"}], "next": "r-1"},
        "r-1": {"items": [{"id": "r-2"}]},
    }

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=pages[request.url.params.get("after", "")])

    with service(answer) as gate:
        assert [run["id"] for run in gate.pages("/v1/runs")] == ["r-1", "r-2"]


def test_a_stream_sends_piece_by_piece_and_yields_lines() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        with tarfile.open(fileobj=io.BytesIO(request.read())) as archive:
            names = archive.getnames()
        return httpx.Response(200, text="".join(json.dumps({"name": name}) + "\n" for name in names))

    members = [("request.json", b"{}"), ("000001.audio", b"x" * 3_000_000)]
    with service(answer) as custodian:
        lines = list(custodian.stream("/v1/seals", tar_stream(members)))
    assert [line["name"] for line in lines] == ["request.json", "000001.audio"]


def test_a_problem_in_the_middle_of_a_stream_is_raised() -> None:
    text = '{"sealed": 1}\n{"problem": {"status": 507, "code": "disk.full", "detail": "no room"}}\n'
    with service(lambda request: httpx.Response(200, text=text)) as custodian:
        lines = custodian.stream("/v1/seals", [b""])
        assert next(lines) == {"sealed": 1}
        with pytest.raises(errors.SandboxError, match="no room") as caught:
            next(lines)
    assert caught.value.code == "disk.full"


def test_events_are_parsed_and_keep_alives_passed_over() -> None:
    text = ': hello\n\nid: 4\nevent: metric\ndata: {"loss": 0.2}\n\nid: 5\ndata: {}\n\n'
    events = list(parse(text.split("\n")))
    assert [(event.id, event.kind, event.data) for event in events] == [
        ("4", "metric", {"loss": 0.2}),
        ("5", "message", {}),
    ]


def test_events_go_on_after_a_restart_from_the_last_one_seen() -> None:
    asked: list[str] = []

    class Torn(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"id: 1\nevent: metric\ndata: {}\n\n"
            raise httpx.ReadError("gone")

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("last-event-id", ""))
        if len(asked) == 1:
            return httpx.Response(200, stream=Torn())
        if len(asked) == 2:
            raise httpx.ConnectError("not yet")
        return httpx.Response(200, text="id: 2\nevent: settled\ndata: {}\n\n")

    with service(answer) as gate:
        assert [event.id for event in gate.events("/v1/runs/r-1/events")] == ["1", "2"]
    assert asked == ["", "1", "1"]


def test_events_are_given_up_when_the_service_stays_away() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("gone")

    with service(answer) as gate, pytest.raises(errors.Unreachable):
        list(gate.events("/v1/runs/r-1/events", patience_s=0.0))


def everything_raised_on_purpose() -> list[type[errors.SandboxError]]:
    found = [errors.SandboxError]
    for kind in found:
        found += kind.__subclasses__()
    return [kind for kind in found if "code" in vars(kind) and kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", everything_raised_on_purpose())
def test_what_a_service_raises_is_what_the_client_raises(kind: type[errors.SandboxError]) -> None:
    fault = kind("spk_7f3a: no", code="very.special", mend="mend it")
    body = described(fault)
    back = problem(int(body["status"]), body)
    assert (type(back), back.code, back.message, back.mend) == (
        kind,
        "very.special",
        "spk_7f3a: no",
        "mend it",
    )
