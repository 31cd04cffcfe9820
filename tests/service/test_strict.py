"""One text has one meaning; what JSON or a query smuggles in is refused before a handler sees it."""

from __future__ import annotations

import pytest

from sandbox.errors import Usage
from sandbox.service import Caller, Route, application, bodies
from sandbox.service.strict import MAX_DEPTH, json_object, plain, query
from tests.service.asgi import TestClient


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'{"a": 1, "a": 2}', id="a name twice"),
        pytest.param(b'{"x": {"a": 1, "a": 2}}', id="a name twice inside"),
        pytest.param(b'{"a": NaN}', id="NaN"),
        pytest.param(b'{"a": -Infinity}', id="infinity"),
        pytest.param(b'{"a": 1e999}', id="a number like infinity"),
        pytest.param(b'{"a": 9223372036854775808}', id="65 bits"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", id="5 000 digits"),
        pytest.param(b'{"a": "\\u0000"}', id="NUL"),
        pytest.param(b'{"\\u0000": 1}', id="NUL in a name"),
        pytest.param(b'{"a": "\\ud800"}', id="half a character"),
        pytest.param(b'{"a": "\xff"}', id="not UTF-8"),
        pytest.param('{"a": 1}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b'\xef\xbb\xbf{"a": 1}', id="a byte order mark"),
        pytest.param(b'{"a": "\n"}', id="a raw line end"),
        pytest.param(b'{"a":' * 40 + b"1" + b"}" * 40, id="deep"),
        pytest.param(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="very deep"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"a": 1} {"b": 2}', id="two objects"),
        pytest.param(b'{"a": 1', id="cut off"),
        pytest.param(b"{'a': 1}", id="Python"),
    ],
)
def test_json_that_is_not_plain_is_refused(raw):
    with pytest.raises(Usage):
        json_object(raw)


def test_plain_json_is_read():
    assert json_object(b"") == {}
    assert json_object(b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH)
    said = b'{"a": [1, -9223372036854775808, 0.5, "\\ud83d\\ude00 \\\\u0000"], "b": null}'
    assert json_object(said)["a"][3] == "\U0001f600 \\u0000"


@pytest.mark.parametrize(
    "raw", [b"a=1&a=2", b"a=%00", b"a=%0a", b"a=%ff", b"%01=2", b"a=" + b"x" * 2000, b"&a=1" * 100]
)
def test_a_query_that_is_not_plain_is_refused(raw):
    with pytest.raises(Usage):
        query(raw)


def test_a_plain_query_is_read():
    assert query(b"after=r-23&limit=&x=%C3%A9+1") == {"after": "r-23", "limit": "", "x": "é 1"}
    assert plain({"id": 7}) == {"id": "7"}


def client() -> TestClient:
    routes = [
        Route("POST", "/v1/echo", lambda call: {"body": call.body}, body_bytes=1000),
        Route("GET", "/v1/things/{id}", lambda call: {"id": call.params["id"]}),
    ]
    app = application(routes, lambda bearer: Caller(bearer, 2e9))
    return TestClient(app, headers={"Authorization": "Bearer eng.li"}, follow_redirects=False)


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        pytest.param(("GET", "/v1/nothing"), 404, "path.unknown", id="no such path"),
        pytest.param(("GET", "/v1/things/x/"), 404, "path.unknown", id="nobody is redirected"),
        pytest.param(("DELETE", "/v1/echo"), 405, "method.unknown", id="no such method"),
        pytest.param(("HEAD", "/v1/things/x"), 405, None, id="not even HEAD"),
        pytest.param(("GET", "/v1/things/%00"), 400, "input.invalid", id="NUL in a path"),
        pytest.param(("GET", "/v1/things/x?a=1&a=2"), 400, "input.invalid", id="a parameter twice"),
    ],
)
def test_every_refusal_is_a_problem(asked, status, code):
    answer = client().request(*asked)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert asked[0] == "HEAD" or (answer.json()["code"], answer.json()["status"]) == (code, status)
    assert status != 405 or answer.headers["allow"] in ("POST", "GET")


@pytest.mark.parametrize(
    ("headers", "content", "status", "code"),
    [
        pytest.param({"Content-Type": "text/plain"}, b"{}", 415, "media_type.unknown", id="another kind"),
        pytest.param({}, b"x" * 1001, 413, "input.too_large", id="too large"),
        pytest.param({"X-Long": "x" * 20_000}, b"{}", 431, "headers.too_large", id="a long head"),
        pytest.param({"Idempotency-Key": "a b"}, b"{}", 400, "input.invalid", id="an odd key"),
        pytest.param({"Content-Type": "application/json; charset=utf-8"}, b'{"a": 1}', 200, None, id="JSON"),
        pytest.param({}, b"", 200, None, id="nothing"),
    ],
)
def test_a_body_is_held_to_its_bounds(headers, content, status, code):
    answer = client().post("/v1/echo", content=content, headers=headers)
    assert answer.status_code == status and (code is None or answer.json()["code"] == code)


def test_a_body_without_a_length_is_held_to_the_same_bound():
    def pieces():
        for _ in range(100):
            yield b" " * 100

    assert client().post("/v1/echo", content=pieces()).json()["code"] == "input.too_large"


def test_nothing_is_kept_by_a_browser_or_guessed():
    answer = client().get("/v1/things/x")
    assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == (
        "no-store",
        "nosniff",
    )
    assert bodies.BODY_S <= 60
