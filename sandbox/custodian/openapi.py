"""What each route of the custodian is for, who may use it, and how it answers: the table that OpenAPI is made from.

``python -m sandbox.custodian.openapi > docs/api/custodian.json`` writes the description; a test holds both equal, and
the table and the routes complete.
"""

from __future__ import annotations

import sys
from typing import get_args

from sandbox.custodian.access_docs import ACCESS_DOCS
from sandbox.custodian.dataset_docs import DATASET_DOCS
from sandbox.custodian.erasure_docs import ERASURE_DOCS
from sandbox.custodian.intake_docs import INTAKE_DOCS
from sandbox.custodian.people import APPROVER, STEWARD
from sandbox.custodian.reads import EVERYBODY, REVIEWERS
from sandbox.custodian.shapes import (
    ACCESS,
    BASE64,
    CONSENT,
    DAY,
    ENTERED,
    EXPIRES,
    INVALID,
    POSTED,
    PURPOSES,
    REVIEWER,
    register_list,
)
from sandbox.policy.entries import Role
from sandbox.service.health import HEALTH_DOCS
from sandbox.service.openapi import (
    ANY,
    NAME,
    PATH,
    PERSON,
    SHA256,
    SUBJECT,
    TEXT,
    WHOLE,
    Doc,
    Docs,
    like,
    listed,
    one_of,
    strictly,
    thing,
    written,
)

TITLE = "voice-sandbox custodian"

DOCS: Docs = {
    **HEALTH_DOCS,
    **INTAKE_DOCS,
    **ERASURE_DOCS,
    **DATASET_DOCS,
    **ACCESS_DOCS,
    ("GET", PATH): Doc("This description.", answer=thing({"openapi": TEXT, "paths": thing({})})),
    ("POST", "/v1/agreements"): Doc(
        "Put an agreement in force: its exact bytes, its envelope, and both parties' keys.",
        (APPROVER,),
        thing({"agreement": NAME, "version": WHOLE, "status": TEXT, "digest": SHA256}),
        body=strictly(
            {"agreement": BASE64, "envelope": BASE64, "party_a_key": TEXT, "party_b_key": TEXT}, name=TEXT
        ),
        problems={
            400: ("file.invalid", "key.invalid"),
            403: (
                "agreement.keys_pinned",
                "agreement.narrows_nothing",
                "agreement.unsound",
                "agreement.version",
                "agreement.widens",
            ),
            422: ("statement.invalid", "statement.differs"),
        },
    ),
    ("POST", "/v1/status"): Doc(
        "Suspend, end, or take up an agreement again.",
        (APPROVER,),
        thing({"agreement": NAME, "version": WHOLE, "status": TEXT, "digest": SHA256}),
        body=strictly({"agreement": NAME, "status": one_of("active", "suspended", "terminated")}),
        problems={403: ("agreement.ended",), 404: ("agreement.unknown",)},
    ),
    ("GET", "/v1/status"): register_list(
        "Agreements", EVERYBODY, thing({"agreement": NAME, "status": TEXT, **ENTERED}), "agreement"
    ),
    ("POST", "/v1/people"): Doc(
        "Enter or change a person; a new one's first password is told once.",
        (APPROVER,),
        thing({"person": PERSON, "seq": WHOLE, "digest": SHA256}, password=TEXT),
        body=strictly(
            {
                "person": PERSON,
                "party": one_of("A", "B"),
                "roles": listed(one_of(*get_args(Role))),
                "nda": EXPIRES,
                "training": strictly({"course": TEXT, "valid_until": DAY}),
            },
            status=one_of("active", "left"),
            password={"type": "string", "minLength": 12, "maxLength": 256},
        ),
        problems={400: ("entry.invalid", "password.short"), 403: ("person.roles_apart",)},
    ),
    ("GET", "/v1/second-factor"): Doc(
        "Whether the caller has enrolled a second factor.",
        answer=thing({"person": TEXT, "second_factor": TEXT}),
    ),
    ("POST", "/v1/second-factor"): Doc(
        "Draw a secret for the caller's authenticator app; told once.",
        EVERYBODY,
        thing({"person": PERSON, "address": TEXT}),
        problems={409: ("totp.enrolled",)},
    ),
    ("POST", "/v1/second-factor/confirm"): Doc(
        "Show the first code of the drawn secret.",
        EVERYBODY,
        thing({"person": PERSON, "second_factor": TEXT}),
        body=strictly({"code": like("[0-9]{6}")}),
        problems={400: ("totp.malformed",), 403: ("totp.wrong",), 404: ("totp.not_begun",)},
    ),
    ("POST", "/v1/people/{person}/second-factor/reset"): Doc(
        "Take away another person's second factor, who lost it.",
        (APPROVER,),
        thing({"person": PERSON, "second_factor": TEXT}),
        params={"person": PERSON},
        problems={403: ("totp.own",), 404: ("person.unknown",)},
    ),
    ("GET", "/v1/people"): register_list(
        "People",
        REVIEWERS,
        thing({"person": PERSON, "roles": listed(TEXT), "status": TEXT, **ENTERED}),
        "person",
    ),
    ("POST", "/v1/access"): Doc(
        'Give an access, or take one back: `{"revoke": "ac-…"}`.',
        (APPROVER,),
        thing({"id": ACCESS, "seq": WHOLE, "digest": SHA256}),
        body={
            "anyOf": [
                strictly(
                    {"person": PERSON, "dataset": NAME, "purposes": PURPOSES, "until": DAY},
                    minors=listed(SUBJECT),
                ),
                strictly({"revoke": ACCESS}),
            ]
        },
        problems={400: INVALID, 403: ("access.refused",), 404: ("access.unknown", "dataset.unknown")},
    ),
    ("GET", "/v1/access"): register_list(
        "Accesses",
        REVIEWERS,
        thing({"id": ACCESS, "person": PERSON, "dataset": NAME, **ENTERED}),
        "person",
        "dataset",
    ),
    ("POST", "/v1/consents"): Doc(
        "Enter consents, withdraw one, or import a signed file.",
        (STEWARD, APPROVER),
        POSTED,
        body={
            "anyOf": [
                strictly({"consents": listed(CONSENT)}),
                strictly({"withdraw": strictly({"dataset": NAME, "subject": SUBJECT}, channel=TEXT)}),
                strictly({"import": strictly({"consents": BASE64, "envelope": BASE64}, name=TEXT)}),
            ]
        },
        problems={
            400: ("entry.invalid", "file.invalid"),
            403: ("consents.foreign", "consents.stale", "request.refused"),
            404: ("consent.unknown",),
            422: ("statement.invalid", "consents.unsigned", "statement.differs"),
        },
    ),
    ("GET", "/v1/consents"): register_list(
        "Consents",
        REVIEWERS,
        thing({"subject": SUBJECT, "dataset": NAME, "status": TEXT, **ENTERED}),
        "subject",
        "dataset",
    ),
    ("GET", "/v1/consents/{subject}"): Doc(
        "The whole history of one person's consents, and until when each stands.",
        REVIEWERS,
        thing({"subject": SUBJECT, "items": listed(ANY), "stands": listed(ANY)}),
        params={"subject": SUBJECT},
        query={"dataset": NAME},
        problems={404: ("consent.unknown",)},
    ),
    ("POST", "/v1/subjects/{subject}/report"): Doc(
        "Everything the custodian holds about one person, as a signed statement.",
        (STEWARD, APPROVER, REVIEWER),
        thing({"statement": TEXT}),
        params={"subject": SUBJECT},
        problems={404: ("subject.unknown",)},
    ),
}


def main() -> int:
    """Print the description; needs no installation."""
    from sandbox.custodian.api import routes
    from sandbox.service.bare import Bare

    sys.stdout.write(written(TITLE, routes(Bare()), DOCS))  # type: ignore[arg-type]  # handlers are made, never called
    return 0


if __name__ == "__main__":
    sys.exit(main())
