"""What the routes of access are for: their part of the table that OpenAPI is made from."""

from __future__ import annotations

from typing import get_args

from sandbox.custodian.access_requests import ASKERS, ENGINEER
from sandbox.custodian.people import APPROVER
from sandbox.custodian.reads import EVERYBODY, REVIEWERS
from sandbox.custodian.shapes import ACCESS, COUNTED
from sandbox.policy.entries import Purpose
from sandbox.service.openapi import (
    NAME,
    PERSON,
    TEXT,
    TRUTH,
    Doc,
    Docs,
    Schema,
    like,
    listed,
    one_of,
    pages,
    strictly,
    thing,
)

ID = like("rq-[a-z0-9]{4,16}")
PURPOSES: Schema = {**listed(one_of(*get_args(Purpose))), "minItems": 1}
WORDS: Schema = {"type": "string", "minLength": 1, "maxLength": 300}
STATUS = one_of("pending", "approved", "denied", "expired")
_REQUEST = thing(
    {
        "id": ID,
        "kind": one_of("access", "break_glass"),
        "person": PERSON,
        "dataset": NAME,
        "purposes": listed(TEXT),
        "until": TEXT,
        "reason": TEXT,
        "asked_by": PERSON,
        "closes": TEXT,
        "status": STATUS,
    }
)
_ASKED = {"dataset": NAME, "purposes": PURPOSES, "reason": WORDS}
_NEVER = {403: ("access.refused", "access.too_many_requests")}
_DECIDED = {
    403: ("access.own_request", "access.refused", "access.request_expired"),
    404: ("access.request_unknown",),
    409: ("access.request_decided",),
}

ACCESS_DOCS: Docs = {
    ("GET", "/v1/access-requests"): Doc(
        "Requests for access, oldest first; who reviews sees all, everybody else their own.",
        EVERYBODY,
        pages(_REQUEST),
        query={**COUNTED, "status": STATUS},
    ),
    ("POST", "/v1/access-requests"): Doc(
        "Ask for access for oneself; void after seven days.",
        (ENGINEER,),
        _REQUEST,
        body=strictly({**_ASKED, "until": TEXT}),
        problems={400: ("entry.invalid", "access.until_over"), **_NEVER},
    ),
    ("POST", "/v1/access-requests/{id}/approve"): Doc(
        "Grant what was asked for, or a shorter time; nobody decides a request of their own.",
        (APPROVER,),
        _REQUEST,
        params={"id": ID},
        body=strictly({}, until=TEXT),
        problems={400: ("access.longer_than_asked", "entry.invalid"), **_DECIDED},
    ),
    ("POST", "/v1/access-requests/{id}/deny"): Doc(
        "Refuse a request of either kind.",
        (APPROVER,),
        _REQUEST,
        params={"id": ID},
        body=strictly({"reason": WORDS}),
        problems={400: ("entry.invalid",), **_DECIDED},
    ),
    ("POST", "/v1/access-requests/{id}/confirm"): Doc(
        "The second person's word for break-glass: its clock starts now.",
        (APPROVER,),
        _REQUEST,
        params={"id": ID},
        problems=_DECIDED,
    ),
    ("POST", "/v1/break-glass"): Doc(
        "In an emergency ask for hours of access for somebody else; void unless confirmed within the hour.",
        ASKERS,
        _REQUEST,
        note="`for` is an ISO 8601 duration, PT4H at most.",
        body=strictly({**_ASKED, "person": PERSON, "for": TEXT}),
        problems={
            400: ("entry.invalid", "access.glass_too_long"),
            403: ("access.own_request", "access.refused", "access.too_many_requests"),
        },
    ),
    ("GET", "/v1/access-reviews"): Doc(
        "Every access that stands, the first due for a review first.",
        REVIEWERS,
        pages(thing({"id": ACCESS, "person": PERSON, "dataset": NAME, "due": TEXT, "overdue": TRUTH})),
        query=COUNTED,
    ),
    ("POST", "/v1/access-reviews"): Doc(
        "Keep an access, or remove it; nobody reviews their own.",
        (APPROVER,),
        thing({"access": ACCESS, "verdict": one_of("kept", "removed"), "reviewer": PERSON}),
        body=strictly({"access": ACCESS, "verdict": one_of("kept", "removed")}),
        problems={400: ("entry.invalid",), 403: ("access.own_review",), 404: ("access.unknown",)},
    ),
}
