"""V11: every record came from a consignment that two different people reviewed, or both parties signed otherwise."""

from __future__ import annotations

import pytest

from sandbox.policy.agreement import Agreement
from sandbox.policy.decide import decide
from sandbox.statements import sha256
from tests.policy import world as w
from tests.policy.cases import run

CONSIGNMENT = "cs-abc234"


def consignment(**changes):
    return {
        "consignment": CONSIGNMENT,
        "number": 1,
        "agreement": w.AGREEMENT,
        "dataset": "digits",
        "digest": "7" * 64,
        "categories": ["speech_sample"],
        "subjects": list(w.PEOPLE),
        "files": 31,
        "size": 4000,
        "received_by": "b.steward",
        "state": "accepted",
        "reviews": [
            {"reviewer": "b.privacy.1", "checklist": []},
            {"reviewer": "a.approver", "checklist": []},
        ],
        **changes,
    }


def codes(entry, intake, *, agreed="", **changes):
    text = w.DEMO.decode().replace("    intake: direct\n", agreed, 1).encode()
    digest = sha256(text)
    known = w.registers(
        status=[w.status(digest=digest)],
        dataset=[w.dataset(agreement_digest=digest, **entry)],
        intake=intake,
    )
    asked, facts = run(
        agreement=Agreement(w.terms("    intake: direct\n", agreed), digest),
        registers=known,
        manifest=w.manifest(agreement_digest=digest),
        **changes,
    )
    return {reason.code for reason in decide(asked, facts).reasons}


REVIEWED = {"consignments": [CONSIGNMENT], "direct": False}


def test_a_dataset_of_accepted_consignments_may_be_used():
    assert codes(REVIEWED, [consignment()]) == set()


UNREVIEWED = {
    "nothing is said": ({}, []),
    "some came without": ({**REVIEWED, "direct": True}, [consignment()]),
    "no consignment is named": ({"direct": False}, []),
    "an unknown one": (REVIEWED, []),
    "one that is only reviewed": (REVIEWED, [consignment(state="reviewed")]),
    "a quarantined one": (REVIEWED, [consignment(state="quarantined")]),
    "of another dataset": (REVIEWED, [consignment(dataset="voices")]),
    "of another agreement": (REVIEWED, [consignment(agreement="dsa-2026-0002")]),
    "one reviewer": (REVIEWED, [consignment(reviews=[{"reviewer": "b.privacy.1", "checklist": []}] * 2)]),
    "the receiver among two": (REVIEWED, [consignment(received_by="a.approver")]),
}


@pytest.mark.parametrize(("entry", "intake"), UNREVIEWED.values(), ids=UNREVIEWED.keys())
def test_anything_else_is_refused(entry, intake):
    assert codes(entry, intake) == {"dataset.not_reviewed"}


def test_both_parties_may_sign_that_the_steward_seals_directly():
    assert codes({}, [], agreed="    intake: direct\n") == set()


def test_a_consignment_that_is_named_must_be_accepted_even_then():
    assert codes(REVIEWED, [], agreed="    intake: direct\n") == {"dataset.not_reviewed"}
