"""What the routes of runs and decisions are for: their part of the table that OpenAPI is made from."""

from __future__ import annotations

from sandbox.gate.routes.shapes import (
    ADMITTED,
    ASKED,
    BRIEF,
    BY_ID,
    DECISION,
    FILES,
    RECIPE_FAULTS,
    REFUSED,
    REQUEST,
    RUN,
    SCALAR,
    UNKNOWN_RUN,
)
from sandbox.gate.routes.standing import (
    ENGINEER,
    EVERYBODY,
    STOPPERS,
    WATCHERS,
)
from sandbox.service.openapi import (
    ANY,
    TEXT,
    TRUTH,
    Doc,
    Docs,
    listed,
    one_of,
    pages,
    strictly,
    thing,
)

RUN_DOCS: Docs = {
    ("POST", "/v1/runs"): Doc(
        "Ask for a run: it is decided at once, and begins when it is permitted.",
        (ENGINEER,),
        ADMITTED,
        note="Every reason of a refusal comes at once. `dry_run: true` decides and begins nothing.",
        body=strictly({"request": REQUEST}, dry_run=TRUTH),
        problems={400: ASKED, 404: ("recipe.unknown", "model.unknown", "dataset.unknown"), **REFUSED},
    ),
    ("POST", "/v1/dry-runs"): Doc(
        "Try a recipe on public speech, outside any agreement; nothing is kept.",
        (ENGINEER,),
        thing({"run": TEXT, "decision": TEXT}),
        body=strictly(
            {"files": FILES}, parameters={"type": "object", "additionalProperties": SCALAR}, speak=TEXT
        ),
        problems={400: RECIPE_FAULTS, **REFUSED},
    ),
    ("GET", "/v1/runs"): Doc("Runs, by id.", EVERYBODY, pages(thing(BRIEF)), query=BY_ID),
    ("GET", "/v1/runs/{id}"): Doc(
        "Everything about one run but its credentials, which nobody has.",
        EVERYBODY,
        thing({**BRIEF, "artifacts": listed(ANY), "credentials": listed(ANY), "proofs": ANY}),
        params={"id": RUN},
        problems=UNKNOWN_RUN,
    ),
    ("GET", "/v1/runs/{id}/events"): Doc(
        "What happened and what happens, until the run is final; resumes after Last-Event-ID.",
        EVERYBODY,
        media="text/event-stream",
        params={"id": RUN},
        problems={**UNKNOWN_RUN, 429: ("streams.too_many",)},
    ),
    ("POST", "/v1/runs/{id}/kill"): Doc(
        "Stop a run: one's own, or any for who may stop.",
        (ENGINEER, *STOPPERS),
        thing({"run": TEXT, "killed": TRUTH}),
        note="Never counted against a limit, and never waits behind other requests.",
        params={"id": RUN},
        body=strictly({}, reason=TEXT),
        problems=UNKNOWN_RUN,
    ),
    ("POST", "/v1/runs/{id}/again"): Doc(
        "A run that lost a voice, asked for once more without it.",
        (ENGINEER,),
        ADMITTED,
        params={"id": RUN},
        body=strictly({}, without=listed(TEXT)),
        problems={
            403: ("request.refused", "run.not_withdrawn", "run.not_replanned"),
            409: ("run.asked",),
            **UNKNOWN_RUN,
        },
    ),
    ("POST", "/v1/runs/{id}/stop"): Doc(
        "End a run of one's own in order: it stops at its next step, and what it made is kept.",
        (ENGINEER,),
        thing({"run": TEXT}),
        params={"id": RUN},
        problems={403: ("run.ended",), **UNKNOWN_RUN},
    ),
    ("POST", "/v1/runs/{id}/resume"): Doc(
        "Go on from the last checkpoint of a run that has ended.",
        (ENGINEER,),
        ADMITTED,
        params={"id": RUN},
        problems={
            400: ("request.invalid",),
            403: ("request.refused", "run.not_ended", "run.no_checkpoint"),
            409: ("run.asked",),
            **UNKNOWN_RUN,
        },
    ),
    ("GET", "/v1/decisions"): Doc(
        "Decisions; `whole=true` gives each with its request and all its facts.",
        WATCHERS,
        pages(thing({"id": TEXT, "person": TEXT, "permitted": TRUTH, "reasons": listed(ANY), "at": TEXT})),
        query={**BY_ID, "whole": one_of("true", "false")},
    ),
    ("GET", "/v1/decisions/{id}"): Doc(
        "One decision with its request and all its facts; one's own, or any for who watches.",
        (ENGINEER, *WATCHERS),
        thing({"id": TEXT, "permitted": TRUTH, "request": ANY, "facts": ANY, "reasons": listed(ANY)}),
        params={"id": DECISION},
        problems={404: ("name.unknown",)},
    ),
    ("GET", "/v1/decisions/{id}/replay"): Doc(
        "Decide again from what was stored: the same, or what differs.",
        (ENGINEER, *WATCHERS),
        thing({"id": TEXT, "same": TRUTH, "faults": listed(TEXT)}),
        params={"id": DECISION},
        problems={404: ("name.unknown",)},
    ),
}
