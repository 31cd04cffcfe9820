"""The routes about people: entering them, and their second factors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.custodian import people, second_factor
from sandbox.custodian.desk import Desk
from sandbox.service import Call, Reply, Route


def people_routes(desk: Desk) -> list[Route]:
    enrolments = second_factor.Enrolments()
    return [
        Route(
            "POST",
            "/v1/people",
            lambda call: _told_once(people.enter_person(desk, call.caller.name, call.body)),
            secret=True,
        ),
        Route("GET", "/v1/second-factor", lambda call: second_factor.show(desk, call.caller.name)),
        Route(
            "POST",
            "/v1/second-factor",
            lambda call: _told_once(enrolments.begin(desk, call.caller.name)),
            secret=True,
        ),
        Route("POST", "/v1/second-factor/confirm", lambda call: _confirm(desk, enrolments, call)),
        Route(
            "POST",
            "/v1/people/{person}/second-factor/reset",
            lambda call: second_factor.reset(desk, call.caller.name, call.params["person"]),
            fresh=True,
        ),
    ]


def _confirm(desk: Desk, enrolments: second_factor.Enrolments, call: Call) -> dict[str, Any]:
    return enrolments.confirm(desk, call.caller.name, second_factor.code_of(call.body))


def _told_once(answer: Mapping[str, Any]) -> Reply:
    """A first password, or a secret for an app: as exact bytes, which nobody keeps for a repeated answer."""
    return Reply(json.dumps(answer).encode(), headers={"Cache-Control": "no-store"})
