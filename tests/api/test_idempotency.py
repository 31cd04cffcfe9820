"""A POST with the same key acts once, on every route of both services; with another body it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.service import Call, Lines, Reply, Route, application
from sandbox.service.idempotency import KeptAnswers
from tests.api.services import verify
from tests.api.test_openapi import SERVICES
from tests.service.asgi import TestClient

POSTS = [
    pytest.param(route, id=f"{name} {route.path}")
    for name, (_, routes) in SERVICES.items()
    for route in routes
    if route.method == "POST"
]


class Counted:
    """A route with its own settings, whose handler counts; ``kind`` is what it answers with."""

    def __init__(self, route: Route, kind: str) -> None:
        self.acts = 0
        self.kind = kind
        self.route = Route(
            "POST",
            route.path,
            self.handle,
            stream=route.stream,
            body_bytes=route.body_bytes,
            urgent=route.urgent,
            secret=route.secret,
        )

    def handle(self, call: Call):
        self.acts += 1
        if self.kind == "lines" or self.route.stream:
            sent = sum(map(len, call.stream())) if self.route.stream else 0
            return Lines(iter([{"sent": sent}]))
        return Reply(b'{"password": "pw-canary"}') if self.kind == "bytes" else {"password": "pw-canary"}


@pytest.mark.parametrize("kind", ["object", "bytes", "lines"])
@pytest.mark.parametrize("route", POSTS)
def test_the_same_key_acts_once(route, kind, tmp_path: Path):
    counted, answers = Counted(route, kind), KeptAnswers(tmp_path / "answers.db")
    client = TestClient(application([counted.route], verify, answers))
    path = route.path.replace("{", "").replace("}", "")

    def post(body: bytes, key: str = "k-1", who: str = "eng.li"):
        headers = {"Authorization": f"Bearer {who}", "Idempotency-Key": key}
        return client.post(path, content=body, headers=headers)

    first, again, other = post(b'{"a": 1}'), post(b'{"a": 1}'), post(b'{"a": 2}')
    assert first.status_code == 200 and counted.acts == 1
    if again.status_code == 200:
        assert again.content == first.content and again.headers["idempotent-replayed"] == "true"
    else:
        assert (again.status_code, again.json()["code"]) == (409, "idempotency.answered")
    assert other.json()["code"] in ("idempotency.reused", "idempotency.answered")
    assert post(b'{"a": 1}', who="eng.wu").status_code == post(b'{"a": 1}', key="k-2").status_code == 200
    assert counted.acts == 3
    answers.close()
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    if route.secret or kind != "object" or route.stream:
        assert b"pw-canary" not in kept
        assert again.status_code == 409


def test_what_failed_may_be_asked_again_and_what_was_cut_off_may_not(tmp_path: Path):
    faults = [ValueError("a fault"), None]

    def handle(call: Call) -> Lines:
        def lines():
            yield {"n": 1}
            if fault := faults.pop(0):
                raise fault
            yield {"n": 2}

        return Lines(lines())

    client = TestClient(application([Route("POST", "/v1/x", handle)], verify, KeptAnswers(":memory:")))
    headers = {"Authorization": "Bearer eng.li", "Idempotency-Key": "k"}
    assert "problem" in client.post("/v1/x", headers=headers).text
    assert client.post("/v1/x", headers=headers).text.endswith('{"n": 2}\n')
    assert client.post("/v1/x", headers=headers).json()["code"] == "idempotency.answered"


def test_of_a_secret_request_no_plain_digest_is_kept(tmp_path: Path):
    """A body with a chosen password could be guessed from its digest."""
    from sandbox.statements import sha256

    answers = KeptAnswers(tmp_path / "answers.db")
    routes = [Route("POST", "/v1/x", lambda call: {}, secret=True), Route("POST", "/v1/y", lambda call: {})]
    client = TestClient(application(routes, verify, answers))
    for path in ("/v1/x", "/v1/y"):
        client.post(
            path, content=b"{}", headers={"Authorization": "Bearer eng.li", "Idempotency-Key": path[-1]}
        )
    kept = {row[0] for row in answers._db.execute("SELECT digest FROM answers")}
    assert sha256(b"POST /v1/y\n{}") in kept and sha256(b"POST /v1/x\n{}") not in kept
    answers.close()
