"""The routes of consignments: received by stewards, shown to reviewers and auditors, decided by whom the roles name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.consignment.envelope import IntakeKey
from sandbox.custodian import intake, reads, receive
from sandbox.custodian.desk import Desk
from sandbox.custodian.people import require
from sandbox.errors import Usage
from sandbox.policy.entries import IntakeState
from sandbox.service import Call, Lines, Route


def intake_routes(desk: Desk) -> list[Route]:
    return [
        Route("GET", "/v1/intake-key", lambda call: _key(desk, call)),
        Route(
            "POST",
            "/v1/consignments",
            lambda call: Lines(receive.receive(desk, call.caller.name, call.stream())),
            stream=True,
        ),
        Route("GET", "/v1/intake/{consignment}", lambda call: _show(desk, call)),
        Route("POST", "/v1/intake/{consignment}/review", lambda call: _review(desk, call)),
        Route("POST", "/v1/intake/{consignment}/accept", lambda call: _accept(desk, call)),
        Route("POST", "/v1/intake/{consignment}/reject", _end(desk, "rejected")),
        Route("POST", "/v1/intake/{consignment}/quarantine", _end(desk, "quarantined")),
    ]


def _key(desk: Desk, call: Call) -> dict[str, Any]:
    """What Party A packs to, and what it checks receipts by."""
    require(desk, call.caller.name, *reads.EVERYBODY)
    public = IntakeKey.of_private(desk.vault.intake_key())
    return {"intake": public.text, "signing": [key.text for key in desk.trusted()]}


def _show(desk: Desk, call: Call) -> dict[str, Any]:
    require(desk, call.caller.name, *reads.REVIEWERS)
    return intake.show(desk, call.params["consignment"])


def _review(desk: Desk, call: Call) -> dict[str, Any]:
    return intake.review(desk, call.caller.name, call.params["consignment"], call.body.get("checklist"))


def _accept(desk: Desk, call: Call) -> Lines:
    return Lines(intake.accept(desk, call.caller.name, call.params["consignment"], call.body))


def _end(desk: Desk, state: IntakeState) -> Callable[[Call], dict[str, Any]]:
    def answer(call: Call) -> dict[str, Any]:
        reason = call.body.get("reason", "")
        if not isinstance(reason, str):
            raise Usage("the reason is no text")
        return intake.end(desk, call.caller.name, call.params["consignment"], state, reason)

    return answer
