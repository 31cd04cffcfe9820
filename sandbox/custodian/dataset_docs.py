"""What the routes of datasets are for: their part of the table that OpenAPI is made from."""

from __future__ import annotations

from sandbox.custodian.people import APPROVER, STEWARD
from sandbox.custodian.reads import EVERYBODY, REVIEWERS
from sandbox.custodian.shapes import BUSY, COUNTED, EVENT_LINES, LINES, NO_DATASET, UPLOAD
from sandbox.service.openapi import (
    NAME,
    NUMBER,
    SHA256,
    SUBJECT,
    TEXT,
    WHOLE,
    Doc,
    Docs,
    pages,
    strictly,
    thing,
)

DATASET_DOCS: Docs = {
    ("POST", "/v1/seals"): Doc(
        "Seal recordings: a tar of request.json, then pairs of NNNNNN.json and NNNNNN.audio.",
        (STEWARD,),
        media=LINES,
        note=EVENT_LINES,
        problems=UPLOAD,
    ),
    ("GET", "/v1/datasets"): Doc(
        "Sealed datasets, each with when it may not be kept any more.",
        EVERYBODY,
        pages(thing({"dataset": NAME, "version": WHOLE})),
        query=COUNTED,
    ),
    ("GET", "/v1/datasets/{dataset}"): Doc(
        "The newest manifest, verified from the head on.",
        EVERYBODY,
        thing({"manifest": SHA256, "dataset": NAME, "version": WHOLE, "records": WHOLE}),
        params={"dataset": NAME},
        problems=NO_DATASET,
    ),
    ("GET", "/v1/datasets/{dataset}/records"): Doc(
        "Records as the index has them: ids, whose, how long; never a word or a sound.",
        (STEWARD, APPROVER),
        pages(thing({"record": TEXT, "subject": TEXT, "revision": WHOLE, "seconds": NUMBER})),
        params={"dataset": NAME},
        query={**COUNTED, "subject": SUBJECT},
        problems=NO_DATASET,
    ),
    ("POST", "/v1/datasets/{dataset}/verify"): Doc(
        "Hash every byte of the newest version.",
        REVIEWERS,
        media=LINES,
        note=EVENT_LINES,
        params={"dataset": NAME},
        problems={**NO_DATASET, **BUSY},
    ),
    ("POST", "/v1/datasets/{dataset}/rewrap"): Doc(
        "Rotate keys: of one voice or all.",
        (STEWARD, APPROVER),
        media=LINES,
        note=EVENT_LINES,
        params={"dataset": NAME},
        body=strictly({}, subject=SUBJECT),
        problems={**NO_DATASET, **BUSY},
    ),
    ("POST", "/v1/datasets/{dataset}/compact"): Doc(
        "Write shards anew without what is dead in them.",
        (STEWARD, APPROVER),
        media=LINES,
        note=EVENT_LINES,
        params={"dataset": NAME},
        body=strictly(
            {},
            above={"type": "number", "minimum": 0, "maximum": 100},
            remove_after_hours={"type": "number", "minimum": 0, "maximum": 8784},
        ),
        problems={**NO_DATASET, **BUSY},
    ),
    ("POST", "/v1/datasets/{dataset}/correct"): Doc(
        "Replace one record: a tar of request.json, then one pair.",
        (STEWARD,),
        media=LINES,
        note=EVENT_LINES,
        params={"dataset": NAME},
        problems={**NO_DATASET, **UPLOAD},
    ),
    ("GET", "/v1/retention"): Doc(
        "What may not be kept any more.", EVERYBODY, pages(thing({"dataset": NAME})), query=COUNTED
    ),
}
