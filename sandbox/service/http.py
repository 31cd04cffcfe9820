"""An API as a list of routes: identity before everything, limits, JSON in and out, every fault a problem.

Handlers are plain functions on a thread pool. They take a :class:`Call` and return one of
:data:`sandbox.service.answers.Answer`. A request goes through these, in this order, and the first that says no ends it:

1. its head's size    2. who calls    3. how often    4. its parameters    5. its body's kind, size, time
6. its Idempotency-Key    7. the handler    8. how many streams the caller follows
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import Receive, Scope, Send

from sandbox.errors import IdentityInvalid, NotFound, NotPermitted, SandboxError, Usage
from sandbox.service import bodies, journal, problems, second_factor, strict
from sandbox.service.answers import Answer, Events, Lines, refusal, response
from sandbox.service.idempotency import Idempotency, answered_once
from sandbox.service.identity import Caller
from sandbox.service.limits import Limits
from sandbox.service.metrics import Meter

BODY_BYTES = 1 << 20
HEAD_BYTES = 16 << 10
URGENT_THREADS = 8
#: Threads that one person's requests hold at once, urgent ones and others: nobody delays anybody else's kill.
URGENT_EACH, OTHERS_EACH = 2, 16
JSON, TAR = "application/json", "application/x-tar"
_KEY = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_SAFE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True)
class Call:
    """One request, its caller identified. ``stream`` yields the raw body of a streaming route, piece by piece."""

    caller: Caller
    params: Mapping[str, str]
    query: Mapping[str, str]
    raw: bytes
    idempotency_key: str
    last_event_id: str
    stream: Callable[[], Iterator[bytes]]

    @cached_property
    def body(self) -> dict[str, Any]:
        """The JSON object that was sent; empty when nothing was. Raises Usage for anything else."""
        return strict.json_object(self.raw)


Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Route:
    """One method of one path.

    ``open``: needs no identity (health only). ``stream``: the body is left to the handler; else it has a limit.
    ``urgent``: stops what runs, so it is never counted and never waits for a thread that others hold.
    ``secret``: the answer holds what is told once (a password, a ticket), so no store keeps it for a repeated request.
    ``fresh``: cannot be taken back, so it wants a fresh code of the second factor (:mod:`.second_factor`).
    """

    method: str
    path: str
    handler: Handler
    open: bool = False
    stream: bool = False
    body_bytes: int = BODY_BYTES
    urgent: bool = False
    secret: bool = False
    fresh: bool = False


NOBODY = Caller("", 0.0)


@dataclass(frozen=True)
class Front:
    """What every request of a service goes through. ``verify`` turns a bearer token into a caller."""

    verify: Callable[[str], Caller]
    idempotency: Idempotency | None
    limits: Limits
    meter: Meter
    urgent: anyio.CapacityLimiter
    prove: Callable[[str, str, bool], None] | None = None
    turns: dict[tuple[str, bool], anyio.CapacityLimiter] = field(default_factory=dict)

    def turn(self, caller: Caller, route: Route) -> AbstractAsyncContextManager[object]:
        """A person's own queue, before the threads that all share."""
        if route.open:
            return nullcontext()
        key, most = (caller.name, route.urgent), URGENT_EACH if route.urgent else OTHERS_EACH
        return self.turns.setdefault(key, anyio.CapacityLimiter(most))


def application(
    routes: Sequence[Route],
    verify: Callable[[str], Caller],
    idempotency: Idempotency | None = None,
    *,
    limits: Limits | None = None,
    meter: Meter | None = None,
    prove: Callable[[str, str, bool], None] | None = None,
) -> Starlette:
    """The ASGI application. ``verify`` raises IdentityInvalid for whatever is no token of ours."""
    front = Front(
        verify,
        idempotency,
        limits or Limits(),
        meter or Meter(),
        anyio.CapacityLimiter(URGENT_THREADS),
        prove,
    )
    by_path: dict[str, dict[str, Route]] = defaultdict(dict)
    for route in routes:
        by_path[route.path][route.method] = route

    async def unknown(request: Request, _: Exception) -> Response:
        return refusal(NotFound(f"there is no {request.url.path[:100]!r}", code="path.unknown"))

    found = [StarletteRoute(path, _Endpoint(methods, front)) for path, methods in by_path.items()]
    app = Starlette(routes=found, exception_handlers={404: unknown})
    app.router.redirect_slashes = False
    return app


class _Endpoint:
    """Every method of one path, as an ASGI application."""

    def __init__(self, methods: Mapping[str, Route], front: Front) -> None:
        self._methods, self._front = methods, front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, began = Request(scope, receive), time.monotonic()
        route = self._methods.get(request.method)
        if route is None:
            await self._other(request)(scope, receive, send)
            return
        held: list[str] = []  # whose stream this answer is, once it is one
        try:
            try:
                reply = await _answer(route, request, self._front, held)
            except ClientDisconnect:
                reply = Response(status_code=499)
            except SandboxError as fault:
                reply = refusal(fault)
            except Exception as fault:  # noqa: BLE001 - the last line: nothing foreign reaches a caller
                journal.trouble("request.failed", fault, path=route.path)
                reply = refusal(problems.internal(fault, journal.place(fault.__traceback__)))
            for name, value in _SAFE.items():
                reply.headers.setdefault(name, value)
            self._front.meter.answered(route.method, route.path, reply.status_code, time.monotonic() - began)
            await reply(scope, receive, send)
        finally:
            for name in held:
                self._front.limits.close_stream(name)

    def _other(self, request: Request) -> Response:
        allowed = ", ".join(sorted(self._methods))
        found = refusal(
            Usage(
                f"this path takes {allowed}, not {request.method[:20]}", code="method.unknown", mend=allowed
            )
        )
        found.headers["Allow"] = allowed
        return found


async def _answer(route: Route, request: Request, front: Front, held: list[str]) -> Response:
    if sum(len(name) + len(value) for name, value in request.headers.raw) > HEAD_BYTES:  # 1
        raise Usage(f"the request's head has more than {HEAD_BYTES} bytes", code="headers.too_large")
    lane = front.urgent if route.urgent else None
    caller = NOBODY if route.open else await _identified(request, front, lane)  # 2
    if not route.open and not route.urgent:  # 3
        front.limits.person(caller.name)
    query, params = strict.query(request.scope["query_string"]), strict.plain(request.path_params)  # 4
    raw = b"" if route.stream else await bodies.whole(request, route.body_bytes)  # 5
    key = request.headers.get("idempotency-key", "")
    if key and not _KEY.fullmatch(key):  # 6
        raise Usage("an Idempotency-Key has 1 to 128 letters, digits and . _ : -")
    call = Call(
        caller=caller,
        params=params,
        query=query,
        raw=raw,
        idempotency_key=key,
        last_event_id=request.headers.get("last-event-id", ""),
        stream=lambda: bodies.pieces(request.stream()),
    )

    def handled() -> Answer:
        if route.fresh:
            _proved(front, caller, request.headers.get(second_factor.HEADER, ""), route.urgent)
        answer = route.handler(call)  # 7
        if isinstance(answer, Lines | Events):  # 8
            front.limits.open_stream(caller.name)
            held.append(caller.name)
        return answer

    if request.method != "POST" or not key or front.idempotency is None:
        async with front.turn(caller, route):
            return await anyio.to_thread.run_sync(lambda: response(handled()), limiter=lane)
    told = f"{request.method} {request.url.path}\n".encode() + raw
    once = answered_once(front.idempotency, caller.name, key, told, secret=route.secret)
    async with front.turn(caller, route):
        return await anyio.to_thread.run_sync(once, handled, limiter=lane)


def _proved(front: Front, caller: Caller, code: str, urgent: bool) -> None:
    """Return when the caller's second factor lets them go on. Without anybody to ask, nobody does."""
    if front.prove is None:
        raise NotPermitted("no second factor can be checked here", code="totp.unchecked")
    front.prove(caller.name, code, urgent)


async def _identified(request: Request, front: Front, lane: anyio.CapacityLimiter | None) -> Caller:
    """Who calls. Whoever is nobody is counted by peer. Raises IdentityInvalid, TooMany."""
    try:
        return await anyio.to_thread.run_sync(front.verify, _bearer(request), limiter=lane)
    except IdentityInvalid:
        front.limits.peer(request.client.host if request.client else "")
        raise


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise IdentityInvalid("nobody is logged in", code="identity.none", mend="sandbox login NAME")
    return token.strip()
