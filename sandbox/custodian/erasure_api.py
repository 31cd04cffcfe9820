"""The routes of an erasure: ask, destroy, certify, in this order; certificates and the witness's list to read."""

from __future__ import annotations

from sandbox.audit.erasure import Speaker
from sandbox.custodian import certificates, erase
from sandbox.custodian.desk import Desk
from sandbox.errors import Usage
from sandbox.service import Call, Lines, Reply, Route

BODY_BYTES = 32 << 20


def erasure_routes(desk: Desk) -> list[Route]:
    return [
        Route(
            "POST",
            "/v1/erasures",
            lambda call: erase.ask(desk, call.caller.name, _subjects(call), _optional(call, "dataset")),
            body_bytes=BODY_BYTES,
        ),
        Route(
            "POST",
            "/v1/erasures/destroy",
            lambda call: Lines(
                erase.destroy(
                    desk,
                    call.caller.name,
                    _speakers(call),
                    _receipts(call),
                    _optional(call, "without_receipt") or "",
                )
            ),
            body_bytes=BODY_BYTES,
            fresh=True,
        ),
        Route(
            "POST",
            "/v1/erasures/certify",
            lambda call: certificates.certify(
                desk, call.caller.name, _speakers(call), _receipts(call), _optional(call, "witness")
            ),
            body_bytes=BODY_BYTES,
        ),
        Route(
            "GET",
            "/v1/certificates/{subject}",
            lambda call: certificates.certificates_of(desk, call.caller.name, call.params["subject"]),
        ),
        Route(
            "GET",
            "/v1/erasure-list",
            lambda call: Reply(
                certificates.erasure_list(desk, call.caller.name), media_type="application/jsonl"
            ),
        ),
    ]


def _subjects(call: Call) -> list[str]:
    given = call.body.get("subjects", [call.body.get("subject")])
    if not isinstance(given, list) or not all(isinstance(one, str) and one for one in given):
        raise Usage("subjects is a list of pseudonyms")
    return given


def _speakers(call: Call) -> list[Speaker]:
    given = call.body.get("speakers")
    if not isinstance(given, list) or not all(
        isinstance(one, list) and len(one) == 2 and all(isinstance(name, str) for name in one)
        for one in given
    ):
        raise Usage("speakers is a list of [dataset, subject]")
    return [(dataset, subject) for dataset, subject in given]


def _receipts(call: Call) -> list[bytes]:
    given = call.body.get("receipts", [])
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise Usage("receipts is a list of signed statements")
    return [one.encode() for one in given]


def _optional(call: Call, name: str) -> str | None:
    value = call.body.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise Usage(f"{name} is a text")
    return value
