"""Shapes that the custodian's routes take and give: words for the tables that OpenAPI is made from."""

from __future__ import annotations

from typing import get_args

from sandbox.custodian.reads import PAGE
from sandbox.policy.entries import CONSENT_FLAGS, ConsentStatus, Purpose
from sandbox.service.openapi import (
    NAME,
    SHA256,
    SUBJECT,
    TEXT,
    TRUTH,
    WHOLE,
    Doc,
    Schema,
    like,
    listed,
    one_of,
    pages,
    paging,
    strictly,
    thing,
)

ENGINEER, AUDITOR, OPERATOR, REVIEWER = "ml_engineer", "auditor", "operator", "privacy_reviewer"
CONSIGNMENT, ACCESS = like("cs-[a-z0-9]{4,16}"), like("ac-[a-z0-9]{4,16}")
DAY = like("[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])")
BASE64: Schema = {"type": "string", "contentEncoding": "base64", "pattern": "^[A-Za-z0-9+/]*={0,2}$"}
PURPOSES = listed(one_of(*get_args(Purpose)))

COUNTED = paging({"type": "integer", "minimum": 0}, PAGE)
ENTERED = {"seq": WHOLE, "by": TEXT, "entered": TEXT}
POSTED = thing({"seq": WHOLE, "digest": SHA256})
SPEAKERS: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "array", "prefixItems": [NAME, SUBJECT], "items": False, "minItems": 2, "maxItems": 2},
}
EVENT_LINES = 'JSON lines: progress, then what was done; a fault is the last line, `{"problem": …}`.'
LINES = "application/jsonl"
EXPIRES = strictly({"expires": DAY})
CONSENT = thing(
    {
        "subject": SUBJECT,
        "dataset": NAME,
        "status": one_of(*get_args(ConsentStatus)),
        "given_at": DAY,
        "expires": DAY,
        "age_band": one_of("adult", "minor_14_17", "minor_under_14", "minor"),
        "evidence": thing({"sha256": SHA256}),
        "scope": thing({}, **dict.fromkeys(CONSENT_FLAGS, TRUTH)),
    }
)
NO_DATASET = {404: ("dataset.unknown",)}
INVALID = ("entry.invalid",)
NO_CONSIGNMENT = {404: ("consignment.unknown", "intake.unknown")}
BUSY = {429: ("streams.too_many",)}
UPLOAD = {400: ("upload.invalid", "upload.truncated"), **BUSY}


def register_list(what: str, who: tuple[str, ...], item: Schema, *narrowed: str) -> Doc:
    return Doc(
        f"{what}: of each the entry in force, oldest first.",
        who,
        pages(item),
        query={**COUNTED, **dict.fromkeys(narrowed, TEXT)},
    )
