"""The routes by which a published file comes in; what becomes of it is a run like every other."""

from __future__ import annotations

from typing import Any

from sandbox.gate.gate import Gate
from sandbox.gate.routes.standing import ENGINEER, require
from sandbox.service import Call, Route, journal
from sandbox.service.openapi import SHA256, TRUTH, WHOLE, Doc, Docs, strictly, thing

BYTES = "application/octet-stream"
_KEPT = thing({"sha256": SHA256, "kept": TRUTH}, size=WHOLE)

BASING_DOCS: Docs = {
    ("POST", "/v1/bases"): Doc(
        "Announce a published file; whether it lies here already.",
        (ENGINEER,),
        _KEPT,
        body=strictly({"sha256": SHA256, "size": WHOLE}),
        problems={400: ("base.empty", "base.too_large")},
    ),
    ("POST", "/v1/bases/{sha256}"): Doc(
        "Send a published file's exact bytes; kept under their digest, or not at all.",
        (ENGINEER,),
        _KEPT,
        takes=BYTES,
        params={"sha256": SHA256},
        problems={400: ("base.digest", "base.too_large"), 429: ("base.no_room",)},
    ),
}


def basing(gate: Gate) -> list[Route]:
    return [
        Route("POST", "/v1/bases", lambda call: _announce(gate, call)),
        Route("POST", "/v1/bases/{sha256}", lambda call: _receive(gate, call), stream=True),
    ]


def _announce(gate: Gate, call: Call) -> dict[str, Any]:
    require(gate.registers, call.caller.name, ENGINEER)
    return gate.house.bases.announce(str(call.body.get("sha256")), call.body.get("size"))


def _receive(gate: Gate, call: Call) -> dict[str, Any]:
    require(gate.registers, call.caller.name, ENGINEER)
    answer = gate.house.bases.receive(call.params["sha256"], call.stream(), call.caller.name)
    journal.say("base.received", sha256=answer["sha256"], size=answer["size"], person=call.caller.name)
    return answer
