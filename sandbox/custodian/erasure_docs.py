"""What the routes of erasures and certificates are for: their part of the table that OpenAPI is made from."""

from __future__ import annotations

from sandbox.custodian.people import APPROVER, STEWARD
from sandbox.custodian.reads import REVIEWERS
from sandbox.custodian.shapes import BUSY, ENTERED, EVENT_LINES, INVALID, LINES, SPEAKERS, register_list
from sandbox.service.openapi import (
    ANY,
    NAME,
    PERSON,
    SUBJECT,
    TEXT,
    WHOLE,
    Doc,
    Docs,
    listed,
    strictly,
    thing,
)

#: What is wrong with the gate's part of an erasure.
RECEIPTS = ("receipt.missing", "receipt.old", "receipt.foreign", "receipt.differs")

ERASURE_DOCS: Docs = {
    ("POST", "/v1/erasures"): Doc(
        "Ask that people be forgotten: from here on no run may hold their voice.",
        (STEWARD, APPROVER),
        thing({"erasures": listed(ANY), "seq": WHOLE}),
        body={
            "anyOf": [
                strictly({"subjects": listed(SUBJECT)}, dataset=NAME),
                strictly({"subject": SUBJECT}, dataset=NAME),
            ]
        },
        problems={400: INVALID, 404: ("subject.unknown", "dataset.unknown")},
    ),
    ("GET", "/v1/erasures"): register_list(
        "Erasures",
        REVIEWERS,
        thing({"subject": SUBJECT, "dataset": NAME, "status": TEXT, **ENTERED}),
        "subject",
        "dataset",
    ),
    ("POST", "/v1/erasures/destroy"): Doc(
        "Destroy the keys of people whose erasure was asked for, once the gate let go of them.",
        (STEWARD, APPROVER),
        media=LINES,
        note=EVENT_LINES,
        body=strictly({"speakers": SPEAKERS}, receipts=listed(TEXT), without_receipt=TEXT),
        problems={
            400: INVALID,
            403: (
                "erasure.not_asked",
                *RECEIPTS,
            ),
            404: ("subject.unknown", "dataset.unknown"),
            422: ("statement.invalid", "statement.differs"),
            **BUSY,
        },
    ),
    ("POST", "/v1/erasures/certify"): Doc(
        "Certify an erasure by two people.",
        (STEWARD, APPROVER),
        thing({"certificates": listed(ANY)}),
        body=strictly({"speakers": SPEAKERS}, receipts=listed(TEXT), witness=PERSON),
        problems={
            400: INVALID,
            403: (
                "witness.same",
                "erasure.not_asked",
                "erasure.not_destroyed",
                *RECEIPTS,
            ),
            404: ("subject.unknown", "dataset.unknown"),
            422: ("statement.invalid", "statement.differs"),
        },
    ),
    ("GET", "/v1/certificates/{subject}"): Doc(
        "The certificates that stand for one person.",
        REVIEWERS,
        thing({"certificates": listed(ANY)}),
        params={"subject": SUBJECT},
        problems={404: ("certificate.none",)},
    ),
    ("GET", "/v1/erasure-list"): Doc(
        "The erasure register's signed entries, one a line, for Party A's witness.", REVIEWERS, media=LINES
    ),
}
