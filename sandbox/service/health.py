"""Whether a service lives and whether it can work: ``/healthz``, ``/readyz``, and ``/metrics``; nothing secret in any.

``/healthz`` and ``/readyz`` need no identity: a supervisor has none. ``/metrics`` is for the operator and the auditor
(Prometheus sends an identity token from its ``credentials_file``), because counts tell when people work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.errors import SandboxError
from sandbox.service import journal
from sandbox.service.answers import Reply
from sandbox.service.http import Call, Route
from sandbox.service.metrics import MEDIA_TYPE, Meter
from sandbox.service.openapi import TRUTH, Doc, Docs, thing

READY_S = 2.0  # an answer stands this long, so that nobody makes Vault busy by asking whether it is there
CHECK_S = 5.0

#: Each returns when its part works, or raises; ours by code, a foreign one by class.
Checks = Mapping[str, Callable[[], object]]

_TOLD = {"type": "object", "additionalProperties": {"type": ["boolean", "string"]}}

HEALTH_DOCS: Docs = {
    ("GET", "/healthz"): Doc("The process lives.", answer=thing({"ok": TRUTH})),
    ("GET", "/v1/health"): Doc("The process lives.", answer=thing({})),
    ("GET", "/readyz"): Doc(
        "Whether each part that the service needs answers: true, or why not.",
        answer=thing({"ready": TRUTH, "parts": _TOLD}),
        problems={503: ()},
    ),
    ("GET", "/metrics"): Doc(
        "Numbers for Prometheus; no label holds a person or a data subject.",
        ("operator", "auditor"),
        media=MEDIA_TYPE,
    ),
}


class Readiness:
    """Looks at every part at once, each in a thread of its own, so that one that hangs is told as hanging."""

    def __init__(self, checks: Checks, clock: Callable[[], float] = time.monotonic) -> None:
        self._checks, self._clock, self._lock = checks, clock, threading.Lock()
        self._seen: tuple[float, dict[str, bool | str]] = (float("-inf"), {})
        self._looking: dict[str, threading.Thread] = {}

    def parts(self) -> dict[str, bool | str]:
        """Each part: true, or one word of why not."""
        if not self._lock.acquire(blocking=False):  # somebody looks: nobody waits behind them
            return self._seen[1] or dict.fromkeys(self._checks, "not looked at yet")
        try:
            at, found = self._seen
            if self._clock() - at >= READY_S:
                found = self._look()
                self._seen = (self._clock(), found)
            return found
        finally:
            self._lock.release()

    def _look(self) -> dict[str, bool | str]:
        told: dict[str, bool | str] = {}
        for name, check in self._checks.items():
            before = self._looking.get(name)
            if before is None or not before.is_alive():  # one that hangs is not asked by a second thread
                self._looking[name] = threading.Thread(
                    target=_tell, args=(name, check, told), name=f"ready-{name}", daemon=True
                )
                self._looking[name].start()
        deadline = time.monotonic() + CHECK_S
        for thread in self._looking.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        return {name: told.get(name, "no answer in time") for name in self._checks}


def _tell(name: str, check: Callable[[], object], told: dict[str, bool | str]) -> None:
    try:
        check()
    except SandboxError as fault:
        told[name] = fault.code
    except Exception as fault:  # noqa: BLE001 - by class only: a foreign text could hold an address or a token
        told[name] = type(fault).__name__
    else:
        told[name] = True


def health_routes(checks: Checks, meter: Meter, require_watcher: Callable[[str], object]) -> list[Route]:
    """The three routes. ``require_watcher`` raises NotPermitted for whoever may not read the numbers."""
    readiness = Readiness(checks)

    def ready(_: Call) -> Reply:
        parts = readiness.parts()
        fine = all(value is True for value in parts.values())
        if not fine:
            journal.say("service.unready", parts=[name for name, value in parts.items() if value is not True])
        return Reply({"ready": fine, "parts": parts}, 200 if fine else 503)

    def metrics(call: Call) -> Reply:
        require_watcher(call.caller.name)
        return Reply(meter.page(), media_type=MEDIA_TYPE)

    def lives(_: Call) -> dict[str, Any]:
        return {"ok": True}

    return [
        Route("GET", "/healthz", lives, open=True),
        Route("GET", "/readyz", ready, open=True),
        Route("GET", "/metrics", metrics),
    ]
