"""What a handler may answer, and how each becomes bytes: an object, exact bytes, JSON lines, server-sent events.

Lines may flow while the request still comes in, but a client that only reads after it has sent everything must not be
sent more than fits the socket (200 KB): keep progress sparse.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio.to_thread
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from sandbox.errors import SandboxError, TooMany
from sandbox.service import journal, problems


@dataclass(frozen=True)
class Reply:
    """An answer with a status or a media type of its own. ``body`` is an object for JSON, or exact bytes."""

    body: Any
    status: int = 200
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Lines:
    """An answer of JSON lines, sent as they come, also while the request's body still comes in."""

    lines: Iterator[Mapping[str, Any]]


@dataclass(frozen=True)
class Event:
    """A server-sent event; ``id`` lets a client resume. An event of kind ``""`` is a keep-alive comment."""

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True)
class Events:
    """An answer of server-sent events (WHATWG HTML, 9.2). The iterator must not block for longer than seconds."""

    events: Iterator[Event]


Answer = Mapping[str, Any] | Sequence[Any] | Reply | Lines | Events


def response(answer: Answer) -> Response:
    """The HTTP answer that a handler means."""
    if isinstance(answer, Reply):
        if isinstance(answer.body, bytes):
            return Response(answer.body, answer.status, dict(answer.headers), answer.media_type)
        return JSONResponse(answer.body, answer.status, dict(answer.headers), answer.media_type)
    if isinstance(answer, Lines):
        return _LinesResponse(answer.lines)
    if isinstance(answer, Events):
        return StreamingResponse(
            (_event(event) for event in answer.events),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )
    return JSONResponse(answer)


def _event(event: Event) -> bytes:
    if not event.kind:
        return b": alive\n\n"
    head = f"id: {event.id}\n" if event.id else ""
    return f"{head}event: {event.kind}\ndata: {json.dumps(event.data, ensure_ascii=False)}\n\n".encode()


class _LinesResponse(Response):
    """JSON lines. Does not listen for a disconnect, because that would eat the request's body under the handler."""

    media_type = "application/jsonl"

    def __init__(self, lines: Iterator[Mapping[str, Any]]) -> None:
        super().__init__(None, 200)
        del self.headers["content-length"]
        self._lines = lines

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        while (line := await anyio.to_thread.run_sync(self._following)) is not None:
            await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def _following(self) -> bytes | None:
        """The next line; a fault becomes the last line, ``{"problem": …}``, since the status is already sent."""
        try:
            line = next(self._lines, None)
        except SandboxError as fault:
            line = {"problem": problems.problem(fault)}
        except Exception as fault:  # noqa: BLE001 - the last line: nothing foreign reaches a caller
            journal.trouble("request.failed", fault)
            line = {"problem": problems.problem(problems.internal(fault, journal.place(fault.__traceback__)))}
        return None if line is None else json.dumps(line, ensure_ascii=False).encode() + b"\n"


def refusal(fault: SandboxError) -> JSONResponse:
    """The problem that describes ``fault``."""
    body = problems.problem(fault)
    headers = {"Retry-After": str(fault.retry_s)} if isinstance(fault, TooMany) else None
    return JSONResponse(body, int(body["status"]), headers, media_type=problems.MEDIA_TYPE)
