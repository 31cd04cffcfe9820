"""What the routes of reviewers are for: their part of the table that OpenAPI is made from."""

from __future__ import annotations

from sandbox.gate.routes.shapes import COUNTED
from sandbox.gate.routes.standing import APPROVER, EVERYBODY, REVIEWER
from sandbox.runs import PURPOSES
from sandbox.service.openapi import (
    ANY,
    SHA256,
    TEXT,
    TRUTH,
    Doc,
    Docs,
    Schema,
    listed,
    one_of,
    pages,
    strictly,
    thing,
)

SAID = thing({"at": TEXT, "by": TEXT, "status": one_of("approved", "withdrawn", "revoked"), "reason": TEXT})
_RECIPE = {
    "digest": SHA256,
    "name": TEXT,
    "submitted_by": TEXT,
    "approved_by": listed(TEXT),
    "approved_for": thing({}),
    "revoked_by": listed(TEXT),
}
_IMAGE = {
    "id": SHA256,
    "digest": SHA256,
    "installed_by": TEXT,
    "installed": TRUTH,
    "approved_by": listed(TEXT),
    "revoked_by": listed(TEXT),
}
_REVIEWED = {"before": TEXT, "changed": listed(ANY), "history": listed(SAID)}
_FILES: Schema = {"type": "object", "additionalProperties": {"type": "string", "contentEncoding": "base64"}}
_REASON: Schema = {"type": "string", "minLength": 1, "maxLength": 300}
_BY_DIGEST, _BY_ID = {"digest": SHA256}, {"image": SHA256}
_NO_RECIPE, _NO_IMAGE = {404: ("recipe.unknown",)}, {404: ("image.unknown",)}
_REVIEWERS = (REVIEWER, APPROVER)

REVIEWING_DOCS: Docs = {
    ("POST", "/v1/recipes/{digest}/approve"): Doc(
        "Approve a recipe's exact bytes for purposes of its card; nobody approves what they submitted.",
        _REVIEWERS,
        thing(_RECIPE),
        note="Without `purposes` for all of them. A second approval replaces the first.",
        params=_BY_DIGEST,
        body=strictly({}, name=TEXT, purposes=listed(one_of(*PURPOSES))),
        problems={400: ("recipe.name", "recipe.purpose"), 403: ("recipe.own",), **_NO_RECIPE},
    ),
    ("POST", "/v1/recipes/{digest}/revoke"): Doc(
        "Take a recipe's exact bytes out of use, whoever approved them.",
        _REVIEWERS,
        thing(_RECIPE),
        params=_BY_DIGEST,
        body=strictly({"reason": _REASON}),
        problems={400: ("reason.invalid",), 403: ("recipe.never_approved",), **_NO_RECIPE},
    ),
    ("GET", "/v1/recipes/{digest}/review"): Doc(
        "Whose word on a recipe stands, its history, and what differs from the version approved last.",
        EVERYBODY,
        thing({**_RECIPE, **_REVIEWED, "purposes": listed(TEXT)}),
        params=_BY_DIGEST,
        problems=_NO_RECIPE,
    ),
    ("GET", "/v1/recipes/{digest}/files"): Doc(
        "A recipe's exact bytes.", EVERYBODY, thing({"files": _FILES}), params=_BY_DIGEST, problems=_NO_RECIPE
    ),
    ("GET", "/v1/images"): Doc(
        "Runner images that were installed here, oldest first.",
        EVERYBODY,
        pages(thing(_IMAGE)),
        query=COUNTED,
    ),
    ("GET", "/v1/images/{image}"): Doc(
        "One image: what it was made from, its history, and what differs from the one approved last.",
        EVERYBODY,
        thing({**_IMAGE, **_REVIEWED, "inputs": ANY}),
        params=_BY_ID,
        problems=_NO_IMAGE,
    ),
    ("POST", "/v1/images/{image}/approve"): Doc(
        "Approve an image; who installed it, and any operator, cannot.",
        _REVIEWERS,
        thing(_IMAGE),
        params=_BY_ID,
        problems={403: ("image.own",), **_NO_IMAGE},
    ),
    ("POST", "/v1/images/{image}/revoke"): Doc(
        "Take an image out of use, whoever approved it.",
        _REVIEWERS,
        thing(_IMAGE),
        params=_BY_ID,
        body=strictly({"reason": _REASON}),
        problems={400: ("reason.invalid",), **_NO_IMAGE},
    ),
}
