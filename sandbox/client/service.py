"""One service behind its Unix socket, or by TLS: requests as the person, answers as objects, problems as errors."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from sandbox.client.events import Event, parse
from sandbox.client.https import Https
from sandbox.client.identity import Bearer
from sandbox.client.problems import problem
from sandbox.client.unix import UnixTransport
from sandbox.errors import NotPermitted, SandboxError, Unreachable

#: Seconds. Long work is a resource with a state, so a request that hangs is a fault; a stream may be silent.
_REQUEST = httpx.Timeout(60.0, connect=5.0)
_STREAM = httpx.Timeout(None, connect=5.0)


class Service:
    """The gate or the custodian, as one person sees it. One thread at a time; close it, or use ``with``.

    Every method raises the error of ``sandbox.errors`` that the service meant, and Unreachable when nobody answers.
    """

    def __init__(
        self,
        name: str,
        place: Path | Https,
        bearer: Bearer,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self._place = place
        self._bearer = bearer
        self._sleep = sleep
        self._http = httpx.Client(
            transport=transport or _transport(place),
            base_url=place.url if isinstance(place, Https) else f"http://{name}",
            timeout=_REQUEST,
            trust_env=False,
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def healthy(self) -> bool:
        """Whether the service answers at all; needs no login."""
        try:
            return self._http.get("/v1/health", timeout=httpx.Timeout(5.0)).status_code == 200
        except httpx.HTTPError:
            return False

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self._object(self._send("GET", path, params=dict(params or {})))

    def get_bytes(self, path: str, params: Mapping[str, Any] | None = None) -> bytes:
        """The exact bytes of a statement or a sealed artifact."""
        return self._send("GET", path, params=dict(params or {})).content

    def post(
        self,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        code: str = "",
    ) -> dict[str, Any]:
        """Ask for something to be done. The same key asks for the same thing again, never twice for it.

        ``code`` is a fresh one of the person's second factor, where the act cannot be taken back.
        """
        headers = {"Idempotency-Key": idempotency_key or secrets.token_hex(16)} | _fresh(code)
        return self._object(self._send("POST", path, json=dict(body or {}), headers=headers))

    def pages(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """All items of a paginated list (``items`` and ``next``)."""
        asked = dict(params or {})
        while True:
            page = self.get(path, asked)
            yield from page.get("items", [])
            if not page.get("next"):
                return
            asked["after"] = page["next"]

    def stream(
        self,
        path: str,
        content: Iterable[bytes],
        *,
        media_type: str = "application/x-tar",
        idempotency_key: str | None = None,
        code: str = "",
    ) -> Iterator[dict[str, Any]]:
        """Send a long body piece by piece; yields each JSON line of the answer as it comes.

        A line ``{"problem": {...}}`` is raised as the error it describes.
        """
        headers = self._headers() | {
            "Idempotency-Key": idempotency_key or secrets.token_hex(16),
            "Content-Type": media_type,
            **_fresh(code),
        }
        try:
            with self._http.stream("POST", path, content=content, headers=headers, timeout=_STREAM) as answer:
                self._raise(answer)
                for line in answer.iter_lines():
                    if line.strip():
                        yield self._line(line)
        except httpx.HTTPError as fault:
            raise self._unreachable(fault) from None

    def events(self, path: str, *, after: str = "", patience_s: float = 60.0) -> Iterator[Event]:
        """Server-sent events from ``after`` on. Survives a restart of the service shorter than ``patience_s``.

        Ends when the service ends the stream in good order.
        """
        silent_since: float | None = None
        while True:
            headers = self._headers() | {"Accept": "text/event-stream"}
            if after:
                headers["Last-Event-ID"] = after
            try:
                with self._http.stream("GET", path, headers=headers, timeout=_STREAM) as answer:
                    self._raise(answer)
                    silent_since = None
                    for event in parse(answer.iter_lines()):
                        after = event.id or after
                        yield event
                return
            except httpx.TransportError as fault:
                now = time.monotonic()
                silent_since = silent_since or now
                if now - silent_since > patience_s:
                    raise self._unreachable(fault) from None
                self._sleep(0.5)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._bearer.token()}"}

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        options["headers"] = self._headers() | options.get("headers", {})
        try:
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as fault:
            raise self._unreachable(fault) from None
        self._raise(answer)
        return answer

    def _raise(self, answer: httpx.Response) -> None:
        if 300 <= answer.status_code < 400:
            raise Unreachable(f"the {self.name} sends elsewhere, and nobody follows", code="service.redirect")
        if answer.status_code < 400:
            return
        answer.read()
        try:
            body = answer.json()
        except ValueError:
            body = {}
        raise problem(answer.status_code, body if isinstance(body, dict) else {})

    def _object(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            body = answer.json()
        except ValueError:
            raise Unreachable(f"the {self.name} answered something that is no JSON") from None
        return body if isinstance(body, dict) else {"items": body}

    def _line(self, line: str) -> dict[str, Any]:
        try:
            found = json.loads(line)
        except ValueError:
            raise Unreachable(f"the {self.name} answered something that is no JSON line") from None
        if isinstance(found, dict) and isinstance(found.get("problem"), dict):
            raise problem(int(found["problem"].get("status") or 500), found["problem"])
        return found if isinstance(found, dict) else {"value": found}

    def _unreachable(self, fault: httpx.HTTPError) -> SandboxError:
        cause = fault.__cause__
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__cause__ or cause.__context__
        if isinstance(cause, PermissionError):
            return NotPermitted(
                f"the {self.name}'s socket refuses this Unix user",
                mend="ask the operator to add you to the group sandbox-users",
            )
        return Unreachable(
            f"the {self.name} does not answer at {self._place}",
            mend="sandbox status, then sandbox up",
        )


def _fresh(code: str) -> dict[str, str]:
    return {"Totp-Code": code} if code else {}


def _transport(place: Path | Https) -> httpx.BaseTransport:
    return place.transport() if isinstance(place, Https) else UnixTransport(place)
