"""The custodian's routes. Each handler says who calls and hands over to the one duty; roles are checked there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.custodian import access, consent, consent_history, openapi, reads, seal, status, subject_report
from sandbox.custodian.access_api import access_routes
from sandbox.custodian.desk import Desk
from sandbox.custodian.erasure_api import erasure_routes
from sandbox.custodian.intake_api import intake_routes
from sandbox.custodian.people_api import people_routes
from sandbox.custodian.versions_api import version_routes
from sandbox.custodian.vitals import Vitals, vital_routes
from sandbox.errors import Usage
from sandbox.service import Call, Lines, Reply, Route
from sandbox.service.openapi import openapi_route

CONSENTS_BYTES = 16 << 20


def routes(desk: Desk, vitals: Vitals | None = None) -> list[Route]:
    """Every route of ``custodian/api.sock``."""
    found = [
        Route("GET", "/v1/health", _health, open=True),
        *vital_routes(desk, vitals or Vitals()),
        Route(
            "POST",
            "/v1/seals",
            lambda call: Lines(seal.seal_upload(desk, call.caller.name, call.stream())),
            stream=True,
        ),
        Route("GET", "/v1/datasets", lambda call: reads.list_datasets(desk, call.caller.name, call.query)),
        Route("GET", "/v1/datasets/{dataset}", _dataset(desk, reads.show_dataset)),
        Route("GET", "/v1/retention", lambda call: reads.list_due(desk, call.caller.name, call.query)),
        Route(
            "POST",
            "/v1/datasets/{dataset}/verify",
            lambda call: Lines(_dataset(desk, reads.verify_dataset)(call)),
        ),
        Route(
            "POST",
            "/v1/agreements",
            lambda call: status.activate(desk, call.caller.name, call.body),
            body_bytes=4 << 20,
        ),
        Route("POST", "/v1/status", lambda call: _status(desk, call)),
        *people_routes(desk),
        Route("POST", "/v1/access", lambda call: _access(desk, call)),
        Route("POST", "/v1/consents", lambda call: _consents(desk, call), body_bytes=CONSENTS_BYTES),
        Route(
            "GET",
            "/v1/consents/{subject}",
            lambda call: consent_history.show(
                desk, call.caller.name, call.params["subject"], call.query.get("dataset", "")
            ),
        ),
        Route(
            "POST",
            "/v1/subjects/{subject}/report",
            lambda call: _once(subject_report.report(desk, call.caller.name, call.params["subject"])),
        ),
        *access_routes(desk),
        *erasure_routes(desk),
        *intake_routes(desk),
        *version_routes(desk),
        *(Route("GET", f"/v1/{path}", _list(desk, name)) for path, name in _LISTS.items()),
    ]
    return [*found, openapi_route(openapi.TITLE, found, openapi.DOCS)]


_LISTS = {
    "people": "people",
    "access": "access",
    "consents": "consent",
    "status": "status",
    "erasures": "erasure",
    "intake": "intake",
}


def _health(_: Call) -> dict[str, Any]:
    return {"status": "ok"}


def _list(desk: Desk, name: str) -> Callable[[Call], dict[str, Any]]:
    return lambda call: reads.list_register(desk, call.caller.name, name, call.query)


def _dataset(desk: Desk, duty: Callable[[Desk, str, str], Any]) -> Callable[[Call], Any]:
    return lambda call: duty(desk, call.caller.name, call.params["dataset"])


def _once(answer: Mapping[str, Any]) -> Reply:
    """A first password, or what is held of a person: as exact bytes, which nobody keeps for a repeated answer."""
    return Reply(json.dumps(answer).encode(), headers={"Cache-Control": "no-store"})


def _status(desk: Desk, call: Call) -> dict[str, Any]:
    return status.set_status(desk, call.caller.name, _text(call, "agreement"), _text(call, "status"))


def _access(desk: Desk, call: Call) -> dict[str, Any]:
    """``{"revoke": "ac-…"}``, or the fields of a new access."""
    if "revoke" in call.body:
        return access.revoke_access(desk, call.caller.name, _text(call, "revoke"))
    return access.grant_access(desk, call.caller.name, call.body)


def _consents(desk: Desk, call: Call) -> dict[str, Any]:
    """``{"withdraw": {…}}``, ``{"import": {…}}`` (a signed file), or ``{"consents": [...]}`` (one alone will do)."""
    body = call.body
    withdrawn, signed = body.get("withdraw"), body.get("import")
    if isinstance(withdrawn, dict):
        dataset, subject = str(withdrawn.get("dataset", "")), str(withdrawn.get("subject", ""))
        channel = withdrawn.get("channel")
        return consent.withdraw_consent(
            desk, call.caller.name, dataset, subject, str(channel) if channel else None
        )
    if isinstance(signed, dict):
        return consent.import_signed(desk, call.caller.name, signed)
    given = body.get("consents", [body])
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise Usage("consents is a list of consent records")
    return consent.import_consents(desk, call.caller.name, given)


def _text(call: Call, name: str) -> str:
    value = call.body.get(name)
    if not isinstance(value, str) or not value:
        raise Usage(f"{name} is missing")
    return value
