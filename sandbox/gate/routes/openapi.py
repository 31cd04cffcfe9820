"""What each route of the gate is for, who may use it, and how it answers: the table that OpenAPI is made from.

``python -m sandbox.gate.routes.openapi > docs/api/gate.json`` writes the description; a test holds both equal, and
the table and the routes complete.
"""

from __future__ import annotations

import sys

from sandbox.gate.routes.alerting_docs import ALERTING_DOCS
from sandbox.gate.routes.basing import BASING_DOCS
from sandbox.gate.routes.reviewing_docs import REVIEWING_DOCS
from sandbox.gate.routes.run_docs import RUN_DOCS
from sandbox.gate.routes.shapes import BY_ID, COUNTED, FILES, INCIDENT, RECIPE, RECIPE_FAULTS, SCOPE
from sandbox.gate.routes.standing import (
    APPROVER,
    AUDITOR,
    ENGINEER,
    EVERYBODY,
    OPERATOR,
    REVIEWER,
    STEWARD,
    STOPPERS,
    WATCHERS,
)
from sandbox.service.health import HEALTH_DOCS
from sandbox.service.openapi import (
    ANY,
    NUMBER,
    PATH,
    SHA256,
    SUBJECT,
    TEXT,
    TRUTH,
    WHOLE,
    Doc,
    Docs,
    listed,
    maybe,
    one_of,
    pages,
    paging,
    strictly,
    thing,
    written,
)
from sandbox.service.paging import PAGE

TITLE = "voice-sandbox gate"

DOCS: Docs = {
    **HEALTH_DOCS,
    **RUN_DOCS,
    **ALERTING_DOCS,
    **REVIEWING_DOCS,
    **BASING_DOCS,
    ("GET", PATH): Doc("This description.", answer=thing({"openapi": TEXT, "paths": thing({})})),
    ("GET", "/v1/models/{model}/card"): Doc(
        "A model's card: what it was made from, and what may be done with it.",
        EVERYBODY,
        thing({}),
        params={"model": TEXT},
        problems={404: ("model.unknown",)},
    ),
    ("POST", "/v1/recipes"): Doc(
        "Submit a recipe's exact bytes; the same bytes again change nothing.",
        (ENGINEER,),
        RECIPE,
        body=thing({"files": FILES}),
        problems={400: RECIPE_FAULTS},
    ),
    ("GET", "/v1/recipes"): Doc("Recipes, oldest first.", EVERYBODY, pages(RECIPE), query=COUNTED),
    ("GET", "/v1/recipes/{digest}"): Doc(
        "One recipe.", EVERYBODY, RECIPE, params={"digest": SHA256}, problems={404: ("recipe.unknown",)}
    ),
    ("GET", "/v1/models"): Doc(
        "Registered models.",
        EVERYBODY,
        pages(thing({"name": TEXT, "version": WHOLE, "run": TEXT, "withdrawn": TEXT})),
        query=COUNTED,
    ),
    ("GET", "/v1/budgets"): Doc(
        "Privacy: what each voice has spent, and since when there is no bound.",
        EVERYBODY,
        pages(
            thing(
                {"dataset": TEXT, "subject": TEXT, "no_bound_since": maybe(TEXT)},
                epsilon=NUMBER,
                rdp=NUMBER,
                delta=NUMBER,
                runs=WHOLE,
                cap=maybe(NUMBER),
            )
        ),
        query=COUNTED,
    ),
    ("POST", "/v1/incidents"): Doc(
        "Stop everything in a scope: state first, then containers, then credentials.",
        STOPPERS,
        thing(
            {
                "id": TEXT,
                "scope": TEXT,
                "runs": listed(TEXT),
                "models": listed(TEXT),
                "timeline": listed(ANY),
                "outstanding": listed(ANY),
            }
        ),
        note="Never counted against a limit, and never waits behind other requests.",
        body=strictly({"scope": SCOPE}),
    ),
    ("POST", "/v1/incidents/{id}/resume"): Doc(
        "Close an incident: its scope admits again. After a kill of everything the gate then logs in anew.",
        STOPPERS,
        thing({"incident": TEXT, "open": TRUTH, "logs_in_anew": TRUTH}),
        params={"id": INCIDENT},
        problems={404: ("incident.unknown",), 409: ("incident.outstanding",), 403: ("incident.own",)},
    ),
    ("GET", "/v1/incidents/{id}"): Doc(
        "One incident: its timeline, what it reached, and what is still owed.",
        EVERYBODY,
        thing(
            {
                "id": TEXT,
                "kind": TEXT,
                "scope": TEXT,
                "by": TEXT,
                "at": TEXT,
                "closed_at": maybe(TEXT),
                "timeline": listed(ANY),
                "affected": ANY,
                "outstanding": listed(ANY),
            }
        ),
        params={"id": INCIDENT},
        problems={404: ("incident.unknown",)},
    ),
    ("POST", "/v1/drills"): Doc(
        "Begin a kill drill: containers of a recipe of its own, killed as in an incident.",
        (OPERATOR,),
        thing({"id": TEXT, "state": TEXT, "runs": WHOLE, "ready": WHOLE}),
        body=strictly({}, runs=WHOLE),
        problems={409: ("drill.busy",)},
    ),
    ("GET", "/v1/drills/{id}"): Doc(
        "A drill as it stands, and its report once it is done.",
        EVERYBODY,
        thing({"id": TEXT, "state": TEXT, "runs": WHOLE, "ready": WHOLE, "report": ANY}),
        params={"id": TEXT},
        problems={404: ("drill.unknown",)},
    ),
    ("GET", "/v1/incidents"): Doc(
        "Incidents, oldest first.",
        EVERYBODY,
        pages(
            thing({"id": TEXT, "kind": TEXT, "scope": TEXT, "by": TEXT, "at": TEXT, "closed_at": maybe(TEXT)})
        ),
        query=COUNTED,
    ),
    ("POST", "/v1/receipts"): Doc(
        "The gate's part of an erasure: a signed receipt, or the runs that still end.",
        (STEWARD, APPROVER),
        thing({}, receipt=TEXT, waiting=listed(TEXT)),
        body=strictly(
            {
                "stage": one_of("settled", "tainted"),
                "speakers": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": "array", "items": TEXT, "minItems": 2, "maxItems": 2},
                },
            }
        ),
        problems={403: ("erasure.not_asked", "erasure.not_destroyed")},
    ),
    ("POST", "/v1/subjects/{subject}/report"): Doc(
        "Everything the gate holds about one person, as a signed statement.",
        (STEWARD, APPROVER, REVIEWER),
        thing({"statement": TEXT}),
        params={"subject": SUBJECT},
    ),
    ("POST", "/v1/browser-sessions"): Doc(
        "A one-time link to the pages, good for a minute; told once.", EVERYBODY, thing({"url": TEXT})
    ),
    ("GET", "/v1/lineage"): Doc(
        "The lineage graph.", WATCHERS, thing({"nodes": listed(ANY), "links": listed(ANY)})
    ),
    ("GET", "/v1/log"): Doc(
        "The log's entries, in order.",
        WATCHERS,
        pages(thing({"index": WHOLE, "at": TEXT, "by": TEXT, "kind": TEXT})),
        query=paging({"type": "integer", "minimum": -1}, PAGE),
    ),
    ("GET", "/v1/log/checkpoint"): Doc(
        "The newest signed checkpoint over the log (C2SP tlog-checkpoint).", EVERYBODY, media="text/plain"
    ),
    ("GET", "/v1/statements"): Doc(
        "Signed statements.",
        WATCHERS,
        pages(thing({"digest": SHA256, "name": TEXT, "id": TEXT, "at": TEXT})),
        query=BY_ID,
    ),
    ("GET", "/v1/statements/{digest}"): Doc(
        "One signed statement's exact bytes: of one's own runs, or any for who watches.",
        (ENGINEER, *WATCHERS),
        thing({"payload": TEXT, "payloadType": TEXT, "signatures": listed(ANY)}),
        params={"digest": SHA256},
        problems={404: ("name.unknown",)},
    ),
    ("GET", "/v1/invariants"): Doc(
        "What must always hold and does not; empty when all is well.",
        WATCHERS,
        thing({"broken": listed(TEXT)}),
    ),
    ("GET", "/v1/evidence"): Doc(
        "Everything that `sandbox audit verify` joins, as one snapshot.",
        WATCHERS,
        thing({"origin": TEXT, "entries": listed(TEXT), "checkpoints": listed(TEXT)}),
    ),
    ("GET", "/v1/tracking"): Doc("What MLflow shows.", WATCHERS, thing({"runs": listed(ANY)})),
    ("POST", "/v1/tracking/repair"): Doc(
        "Have MLflow say again what was signed.", (AUDITOR, OPERATOR, APPROVER), thing({"left": listed(ANY)})
    ),
    ("GET", "/v1/vault-audit"): Doc(
        "Vault's own audit file, oldest line first.",
        (AUDITOR, OPERATOR, APPROVER),
        media="application/jsonl",
        problems={503: ()},
    ),
}


def main() -> int:
    """Print the description; needs no installation."""
    from sandbox.gate.routes.api import routes
    from sandbox.service.bare import Bare

    found = routes(Bare(), Bare())  # type: ignore[arg-type]  # handlers are made, never called
    sys.stdout.write(written(TITLE, [*found], DOCS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
