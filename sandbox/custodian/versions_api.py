"""The routes of what is done to a sealed dataset: records listed and corrected, keys rotated, shards compacted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sandbox.custodian import correct, listing, versions
from sandbox.custodian.desk import Desk
from sandbox.errors import Usage
from sandbox.service import Call, Lines, Route

ABOVE, REMOVE_AFTER_H = 20.0, 24.0
MOST_HOURS = 24.0 * 366


def version_routes(desk: Desk) -> list[Route]:
    return [
        Route("GET", "/v1/datasets/{dataset}/records", lambda call: _records(desk, call)),
        Route("POST", "/v1/datasets/{dataset}/rewrap", lambda call: _rewrap(desk, call)),
        Route("POST", "/v1/datasets/{dataset}/compact", lambda call: _compact(desk, call)),
        Route(
            "POST",
            "/v1/datasets/{dataset}/correct",
            lambda call: Lines(
                correct.correct_record(desk, call.caller.name, call.params["dataset"], call.stream())
            ),
            stream=True,
        ),
    ]


def _records(desk: Desk, call: Call) -> dict[str, Any]:
    return listing.list_records(desk, call.caller.name, call.params["dataset"], call.query)


def _rewrap(desk: Desk, call: Call) -> Lines:
    subject = call.body.get("subject")
    if subject is not None and not isinstance(subject, str):
        raise Usage("subject is a pseudonym")
    return Lines(versions.rewrap_dataset(desk, call.caller.name, call.params["dataset"], subject))


def _compact(desk: Desk, call: Call) -> Lines:
    above = _number(call, "above", ABOVE, 100)
    hours = _number(call, "remove_after_hours", REMOVE_AFTER_H, MOST_HOURS)
    lines = versions.compact_dataset(
        desk, call.caller.name, call.params["dataset"], above, timedelta(hours=hours)
    )
    return Lines(lines)


def _number(call: Call, name: str, otherwise: float, most: float) -> float:
    value = call.body.get(name, otherwise)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise Usage(f"{name} is a number from 0 to {most:g}")
    return float(value)
