"""The routes of access: asked for, decided, broken glass, looked at again."""

from __future__ import annotations

from typing import Any

from sandbox.custodian import access_requests, access_reviews
from sandbox.custodian.desk import Desk
from sandbox.errors import Usage
from sandbox.service import Call, Route


def access_routes(desk: Desk) -> list[Route]:
    return [
        Route("GET", "/v1/access-requests", lambda c: access_requests.listing(desk, c.caller.name, c.query)),
        Route("POST", "/v1/access-requests", lambda c: access_requests.ask(desk, c.caller.name, c.body)),
        Route("POST", "/v1/access-requests/{id}/approve", lambda c: _approve(desk, c)),
        Route("POST", "/v1/access-requests/{id}/deny", lambda c: _deny(desk, c)),
        Route(
            "POST",
            "/v1/access-requests/{id}/confirm",
            lambda c: access_requests.confirm(desk, c.caller.name, c.params["id"]),
        ),
        Route(
            "POST", "/v1/break-glass", lambda c: access_requests.ask_break_glass(desk, c.caller.name, c.body)
        ),
        Route("GET", "/v1/access-reviews", lambda c: access_reviews.standing(desk, c.caller.name, c.query)),
        Route("POST", "/v1/access-reviews", lambda c: access_reviews.review(desk, c.caller.name, c.body)),
    ]


def _approve(desk: Desk, call: Call) -> dict[str, Any]:
    until = call.body.get("until")
    if until is not None and not isinstance(until, str):
        raise Usage("until is a time")
    return access_requests.approve(desk, call.caller.name, call.params["id"], until)


def _deny(desk: Desk, call: Call) -> dict[str, Any]:
    reason = call.body.get("reason")
    if not isinstance(reason, str) or not reason.strip():
        raise Usage("a denial has a reason", mend='--reason "why"')
    return access_requests.deny(desk, call.caller.name, call.params["id"], reason.strip())
