"""One caller never uses up what another may ask; what stops a run is never counted."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import anyio.to_thread
import pytest

from sandbox.errors import IdentityInvalid, TooMany
from sandbox.service import Call, Caller, Event, Events, Lines, Route, application
from sandbox.service.limits import Buckets, Limits
from tests.service.asgi import TestClient


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def verify(bearer: str) -> Caller:
    if bearer == "bad":
        raise IdentityInvalid("not one of ours")
    return Caller(bearer, 2e9)


def api(limits: Limits, *more: Route) -> TestClient:
    routes = [
        Route("GET", "/v1/health", lambda call: {}, open=True),
        Route("GET", "/v1/me", lambda call: {"name": call.caller.name}),
        Route("POST", "/v1/kill", lambda call: {"killed": True}, urgent=True),
        *more,
    ]
    return TestClient(application(routes, verify, limits=limits))


def bearing(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}"}


def test_a_bucket_refills_evenly_and_never_above_its_size():
    clock = Clock()
    bucket = Buckets(60, clock)
    assert [bucket.take("a") for _ in range(60)] == [0.0] * 60
    assert bucket.take("a") == 1.0
    clock.now = 1.5
    assert bucket.take("a") == 0.0
    assert bucket.take("a") == 0.5
    clock.now = 1e6
    assert [bucket.take("a") for _ in range(61)][-1] > 0


def test_buckets_are_bounded_in_number():
    bucket = Buckets(60, Clock())
    for n in range(10_000):
        bucket.take(str(n))
    assert len(bucket._held) <= 4096


def test_one_person_is_refused_and_another_goes_on():
    clock = Clock()
    client = api(Limits(20, clock=clock))
    assert [client.get("/v1/me", headers=bearing("eng.li")).status_code for _ in range(20)] == [200] * 20
    refused = client.get("/v1/me", headers=bearing("eng.li"))
    assert (refused.status_code, refused.json()["code"]) == (429, "request.too_many")
    assert int(refused.headers["retry-after"]) == 3
    assert client.get("/v1/me", headers=bearing("eng.wu")).status_code == 200
    clock.now += 3
    assert client.get("/v1/me", headers=bearing("eng.li")).status_code == 200


def test_strangers_use_up_nothing_of_a_person():
    client = api(Limits(20, clock=Clock()))
    answers = [client.get("/v1/me", headers=bearing("bad")).status_code for _ in range(5)]
    assert answers == [401, 401, 429, 429, 429]
    assert client.get("/v1/me").status_code == 429
    assert client.get("/v1/me", headers=bearing("eng.li")).status_code == 200
    assert client.get("/v1/health").status_code == 200


def test_a_kill_is_never_counted():
    client = api(Limits(10, clock=Clock()))
    for _ in range(12):
        last = client.get("/v1/me", headers=bearing("eng.li"))
    assert last.status_code == 429
    assert client.post("/v1/kill", headers=bearing("eng.li")).json() == {"killed": True}


def test_a_kill_waits_for_no_thread_that_others_hold():
    free, entered, late = threading.Event(), threading.Semaphore(0), list[bool]()

    def hold(call: Call) -> dict[str, str]:
        entered.release()
        if not free.wait(10):
            late.append(True)
        return {}

    client = api(Limits(), Route("GET", "/v1/hold", hold))
    with client:

        async def narrow() -> None:
            anyio.to_thread.current_default_thread_limiter().total_tokens = 2

        assert client.portal is not None
        client.portal.call(narrow)
        holding = [
            threading.Thread(target=client.get, args=("/v1/hold",), kwargs={"headers": bearing("eng.li")})
            for _ in range(2)
        ]
        for thread in holding:
            thread.start()
        assert entered.acquire(timeout=30) and entered.acquire(timeout=30)
        try:
            assert client.post("/v1/kill", headers=bearing("eng.li")).json() == {"killed": True}
            assert not late, "the kill waited until the others were done"
        finally:
            free.set()
        for thread in holding:
            thread.join(30)


def test_streams_of_one_person_are_bounded_and_counted_down():
    limits = Limits(streams=2)
    seen: list[int] = []

    def events(call: Call) -> Events:
        return Events(iter([Event("tick", {}, "1")]))

    def lines(call: Call) -> Lines:
        def told() -> Iterator[dict[str, int]]:
            seen.append(limits._streams["eng.li"])
            yield {"n": 1}

        return Lines(told())

    client = api(limits, Route("GET", "/v1/events", events), Route("POST", "/v1/lines", lines))
    for _ in range(4):
        assert client.get("/v1/events", headers=bearing("eng.li")).status_code == 200
        assert client.post("/v1/lines", headers=bearing("eng.li")).status_code == 200
    assert seen == [1, 1, 1, 1] and not limits._streams
    limits.open_stream("eng.li")
    limits.open_stream("eng.li")
    refused = client.post("/v1/lines", headers=bearing("eng.li"))
    assert (refused.status_code, refused.json()["code"]) == (429, "streams.too_many")
    assert client.get("/v1/events", headers=bearing("eng.wu")).status_code == 200
    with pytest.raises(TooMany):
        limits.open_stream("eng.li")
