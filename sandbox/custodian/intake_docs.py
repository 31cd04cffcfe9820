"""What the routes of consignments are for: their part of the table that OpenAPI is made from."""

from __future__ import annotations

from sandbox.custodian.people import STEWARD
from sandbox.custodian.reads import EVERYBODY, REVIEWERS
from sandbox.custodian.shapes import (
    BUSY,
    CONSIGNMENT,
    ENTERED,
    EVENT_LINES,
    INVALID,
    LINES,
    NO_CONSIGNMENT,
    REVIEWER,
    register_list,
)
from sandbox.service.openapi import (
    ANY,
    TEXT,
    Doc,
    Docs,
    listed,
    strictly,
    thing,
)

INTAKE_DOCS: Docs = {
    ("GET", "/v1/intake-key"): Doc(
        "What Party A packs to, and what it checks receipts by.",
        EVERYBODY,
        thing({"intake": TEXT, "signing": listed(TEXT)}),
    ),
    ("POST", "/v1/consignments"): Doc(
        "Receive a consignment, verified as it comes.",
        (STEWARD,),
        media=LINES,
        note=EVENT_LINES,
        problems=BUSY,
    ),
    ("GET", "/v1/intake"): register_list(
        "Consignments",
        REVIEWERS,
        thing({"consignment": TEXT, "state": TEXT, **ENTERED}),
        "dataset",
        "agreement",
    ),
    ("GET", "/v1/intake/{consignment}"): Doc(
        "One consignment and how it came where it stands.",
        REVIEWERS,
        thing({"consignment": TEXT, "state": TEXT, "history": listed(ANY)}),
        params={"consignment": CONSIGNMENT},
        problems=NO_CONSIGNMENT,
    ),
    ("POST", "/v1/intake/{consignment}/review"): Doc(
        "Answer the checklist.",
        (REVIEWER, STEWARD),
        thing({"consignment": TEXT, "state": TEXT}),
        params={"consignment": CONSIGNMENT},
        body=strictly({"checklist": listed(strictly({"item": TEXT, "answer": TEXT}, note=TEXT))}),
        problems={400: INVALID, **NO_CONSIGNMENT},
    ),
    ("POST", "/v1/intake/{consignment}/accept"): Doc(
        "Accept a consignment and seal it.",
        (STEWARD,),
        media=LINES,
        note=EVENT_LINES,
        params={"consignment": CONSIGNMENT},
        body=thing({}),
        problems={400: INVALID, **NO_CONSIGNMENT, **BUSY},
    ),
    ("POST", "/v1/intake/{consignment}/reject"): Doc(
        "Reject a consignment: its ciphertext is deleted.",
        (REVIEWER, STEWARD),
        thing({"consignment": TEXT, "state": TEXT}, statement=TEXT),
        params={"consignment": CONSIGNMENT},
        body=strictly({}, reason=TEXT),
        problems={400: INVALID, **NO_CONSIGNMENT},
    ),
    ("POST", "/v1/intake/{consignment}/quarantine"): Doc(
        "Set a consignment aside.",
        (REVIEWER, STEWARD),
        thing({"consignment": TEXT, "state": TEXT}),
        params={"consignment": CONSIGNMENT},
        body=strictly({}, reason=TEXT),
        problems={400: INVALID, **NO_CONSIGNMENT},
    ),
}
