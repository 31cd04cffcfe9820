"""The gate's routes for reviewers: recipes and images looked at, approved for purposes, revoked."""

from __future__ import annotations

import base64
from typing import Any

from sandbox.errors import Usage
from sandbox.gate.gate import Gate
from sandbox.gate.routes.standing import EVERYBODY, require
from sandbox.service import Call, Route
from sandbox.service.paging import page


def reviewing(gate: Gate) -> list[Route]:
    """Everybody may look; who may say what is decided by the duties, from the people register."""
    recipes, images = gate.house.recipes, gate.images
    return [
        Route("POST", "/v1/recipes/{digest}/approve", lambda call: _approve(gate, call)),
        Route(
            "POST",
            "/v1/recipes/{digest}/revoke",
            lambda call: recipes.revoke(call.params["digest"], _reason(call), call.caller.name),
        ),
        Route("GET", "/v1/recipes/{digest}/review", lambda call: _review(gate, call)),
        Route("GET", "/v1/recipes/{digest}/files", lambda call: _files(gate, call)),
        Route("GET", "/v1/images", lambda call: _images(gate, call)),
        Route("GET", "/v1/images/{image}", lambda call: _image(gate, call)),
        Route(
            "POST",
            "/v1/images/{image}/approve",
            lambda call: images.approve(call.params["image"], call.caller.name),
        ),
        Route(
            "POST",
            "/v1/images/{image}/revoke",
            lambda call: images.revoke(call.params["image"], _reason(call), call.caller.name),
        ),
    ]


def _approve(gate: Gate, call: Call) -> dict[str, Any]:
    """``{"name", "purposes"}``; without purposes for all that stand on the recipe's card."""
    purposes = call.body.get("purposes")
    if purposes is not None and not (
        isinstance(purposes, list) and all(isinstance(one, str) for one in purposes)
    ):
        raise Usage("purposes is a list of words")
    return gate.house.recipes.approve(
        call.params["digest"], str(call.body.get("name", "")), call.caller.name, purposes
    )


def _review(gate: Gate, call: Call) -> dict[str, Any]:
    require(gate.registers, call.caller.name, *EVERYBODY)
    return gate.house.recipes.review(call.params["digest"])


def _files(gate: Gate, call: Call) -> dict[str, Any]:
    """The exact bytes, as they were submitted; whoever reads them can compute the digest again."""
    require(gate.registers, call.caller.name, *EVERYBODY)
    found = gate.house.recipes.files(call.params["digest"])
    return {"files": {path: base64.b64encode(data).decode() for path, data in found.items()}}


def _images(gate: Gate, call: Call) -> dict[str, Any]:
    require(gate.registers, call.caller.name, *EVERYBODY)
    return page(gate.images.listing(), call.query)


def _image(gate: Gate, call: Call) -> dict[str, Any]:
    require(gate.registers, call.caller.name, *EVERYBODY)
    return gate.images.review(call.params["image"])


def _reason(call: Call) -> str:
    reason = call.body.get("reason")
    if not isinstance(reason, str):
        raise Usage("a revocation has a reason", mend='--reason "why"')
    return reason
