"""Shapes that the gate's routes take and give: words for the tables that OpenAPI is made from."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.runs import PURPOSES, RunState
from sandbox.service.openapi import (
    NAME,
    NUMBER,
    SHA256,
    SUBJECT,
    TEXT,
    TRUTH,
    WHOLE,
    Schema,
    like,
    listed,
    maybe,
    one_of,
    paging,
    strictly,
    thing,
)
from sandbox.service.paging import PAGE

RUN, DECISION, INCIDENT = like("r-[a-z0-9]{4,16}"), like("d-[a-z0-9]{4,16}"), like("i-[a-z0-9]{4,16}")
SCALAR: Schema = {"type": ["string", "number", "boolean"]}
SCOPE = like(
    "(all|run:r-[a-z0-9]{4,16}|(dataset|agreement):[a-z][a-z0-9-]{0,47}|recipe:[0-9a-f]{64}"
    r"|subject:([a-z][a-z0-9-]{0,47}/)?spk_[a-z0-9]{2,32}|person:[a-z][a-z0-9]*(\.[a-z0-9]+){0,3})"
)

COUNTED = paging({"type": "integer", "minimum": 0}, PAGE)
BY_ID = paging(TEXT, PAGE)

REQUEST = strictly(
    {
        "recipe": TEXT,
        "recipe_digest": SHA256,
        "agreement": NAME,
        "purpose": one_of(*PURPOSES),
        "dataset": maybe(TEXT),
        "subjects": maybe(listed(SUBJECT)),
        "inputs": {"type": "object", "additionalProperties": TEXT},
        "privacy": maybe(
            strictly(
                {
                    "unit": one_of("speaker"),
                    "epsilon": NUMBER,
                    "delta": NUMBER,
                    "clip": NUMBER,
                    "sample_rate": NUMBER,
                },
                steps=WHOLE,
                sigma=NUMBER,
                accept_noise=TRUTH,
            )
        ),
        "compute": strictly({}, cpus=NUMBER, memory_bytes=WHOLE, gpus=WHOLE, time_limit_s=WHOLE),
        "parameters": {"type": "object", "additionalProperties": SCALAR},
    },
    kind=one_of("run", "dry-run"),
)
FILES: Schema = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {"type": "string", "contentEncoding": "base64"},
}
ADMITTED = thing({"run": TEXT, "grant": TEXT, "decision": TEXT, "permitted": TRUTH})
BRIEF: Mapping[str, Schema] = {
    "id": RUN,
    "grant": TEXT,
    "decision": TEXT,
    "kind": TEXT,
    "person": TEXT,
    "purpose": TEXT,
    "dataset": maybe(TEXT),
    "recipe": TEXT,
    "state": one_of(*RunState),
    "outcome": maybe(TEXT),
    "model": maybe(TEXT),
    "epsilon": maybe(NUMBER),
}
RECIPE = thing(
    {"digest": SHA256, "name": TEXT, "submitted_by": TEXT, "at": TEXT, "approved_by": listed(TEXT)}
)
UNKNOWN_RUN = {404: ("name.unknown", "run.unknown")}
REFUSED = {403: ("request.refused",), 409: ("run.asked",)}
ASKED = ("request.invalid", "recipe.parameter", "privacy.delta", "privacy.mechanism", "privacy.unreachable")
RECIPE_FAULTS = (
    "recipe.files",
    "recipe.odd_file",
    "recipe.incomplete",
    "recipe.artifacts",
    "recipe.too_large",
    "recipe.parameter",
    "file.invalid",
)
