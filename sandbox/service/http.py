"""An API as a list of routes: identity before everything, JSON in and out, every fault a problem.

Handlers are plain functions on a thread pool. They take a :class:`Call` and return one of
:data:`sandbox.service.answers.Answer`.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio.from_thread
import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as StarletteRoute

from sandbox.errors import IdentityInvalid, NotFound, SandboxError, Usage
from sandbox.service import journal, problems
from sandbox.service.answers import Answer, refusal, response
from sandbox.service.idempotency import Idempotency, Kept
from sandbox.service.identity import Caller
from sandbox.statements import sha256

BODY_BYTES = 1 << 20
_KEY = re.compile(r"[A-Za-z0-9._:-]{1,128}")


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

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object that was sent; empty when nothing was. Raises Usage for anything else."""
        if not self.raw:
            return {}
        try:
            found = json.loads(self.raw)
        except ValueError:
            raise Usage("the request's body is not JSON") from None
        if not isinstance(found, dict):
            raise Usage("the request's body is not a JSON object")
        return found


Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Route:
    """``open`` needs no identity (health only); ``stream`` leaves the body to the handler; else it has a limit."""

    method: str
    path: str
    handler: Handler
    open: bool = False
    stream: bool = False
    body_bytes: int = BODY_BYTES


NOBODY = Caller("", 0.0)


def application(
    routes: Sequence[Route],
    verify: Callable[[str], Caller],
    idempotency: Idempotency | None = None,
) -> Starlette:
    """The ASGI application. ``verify`` turns a bearer token into a caller or raises IdentityInvalid."""

    def endpoint(route: Route) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            try:
                return await _answer(route, request, verify, idempotency)
            except ClientDisconnect:
                return Response(status_code=499)
            except SandboxError as fault:
                return refusal(fault)
            except Exception as fault:  # noqa: BLE001 - the last line: nothing foreign reaches a caller
                journal.trouble("request.failed", fault, path=route.path)
                return refusal(problems.internal(fault, journal.place(fault.__traceback__)))

        return answer

    async def unknown(request: Request, _: Exception) -> Response:
        return refusal(
            NotFound(f"there is no {request.method} {request.url.path[:100]}", code="path.unknown")
        )

    found = [StarletteRoute(route.path, endpoint(route), methods=[route.method]) for route in routes]
    return Starlette(routes=found, exception_handlers={404: unknown, 405: unknown})


async def _answer(
    route: Route,
    request: Request,
    verify: Callable[[str], Caller],
    idempotency: Idempotency | None,
) -> Response:
    caller = NOBODY if route.open else await anyio.to_thread.run_sync(verify, _bearer(request))
    raw = b"" if route.stream else await _body(request, route.body_bytes)
    key = request.headers.get("idempotency-key", "")
    if key and not _KEY.fullmatch(key):
        raise Usage("an Idempotency-Key has 1 to 128 letters, digits and . _ : -")
    call = Call(
        caller=caller,
        params={name: str(value) for name, value in request.path_params.items()},
        query=dict(request.query_params),
        raw=raw,
        idempotency_key=key,
        last_event_id=request.headers.get("last-event-id", ""),
        stream=lambda: _pieces(request.stream()),
    )
    if request.method != "POST" or not key or idempotency is None or route.stream:
        return response(await anyio.to_thread.run_sync(route.handler, call))
    digest = sha256(f"{request.method} {request.url.path}\n".encode() + raw)
    return await anyio.to_thread.run_sync(_once, route.handler, call, digest, idempotency)


def _once(handler: Handler, call: Call, digest: str, idempotency: Idempotency) -> Response:
    """Answer a request that carries a key, or give the answer that it got before."""
    name, key = call.caller.name, call.idempotency_key
    kept = idempotency.begin(name, key, digest)
    if kept is not None:
        return Response(
            kept.body, kept.status, media_type="application/json", headers={"Idempotent-Replayed": "true"}
        )
    done = False
    try:
        reply = response(handler(call))
        if reply.status_code < 300 and isinstance(reply, JSONResponse):
            idempotency.finish(name, key, Kept(reply.status_code, bytes(reply.body)))
            done = True
        return reply
    finally:
        if not done:
            idempotency.forget(name, key)


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise IdentityInvalid("nobody is logged in", code="identity.none", mend="sandbox login NAME")
    return token.strip()


async def _body(request: Request, limit: int) -> bytes:
    """The whole body, refused as soon as it is larger than ``limit`` bytes."""
    found = bytearray()
    async for piece in request.stream():
        found += piece
        if len(found) > limit:
            raise Usage(f"the request's body has more than {limit} bytes", code="input.too_large")
    return bytes(found)


def _pieces(body: AsyncIterator[bytes]) -> Iterator[bytes]:
    """An asynchronous body, read from the handler's thread."""

    async def following() -> bytes | None:
        return await anext(body, None)

    while (piece := anyio.from_thread.run(following)) is not None:
        if piece:
            yield piece
