"""What the custodian says it holds of somebody: consignments that are not sealed are held, too, and name others."""

import base64
import json

import pytest

from sandbox.custodian.subject_report import report
from sandbox.errors import NotFound
from tests.fakes.studio import STEWARD

ENTRY = {
    "consignment": "cs-abc234",
    "number": 1,
    "agreement": "dsa-2026-0001",
    "dataset": "digits",
    "digest": "7" * 64,
    "categories": ["speech_sample"],
    "subjects": ["spk_dora", "spk_anna"],
    "files": 2,
    "size": 400,
    "received_by": STEWARD,
    "state": "received",
}


def test_a_consignment_that_names_somebody_is_told_and_nobody_else_in_it(desk):
    desk.registers.append("intake", [ENTRY, ENTRY | {"state": "rejected"}], STEWARD)
    statement = report(desk, STEWARD, "spk_dora")["statement"]
    payload = base64.b64decode(json.loads(statement)["payload"]).decode()
    told = json.loads(payload)["predicate"]["consignments"]
    assert [(one["consignment"], one["state"]) for one in told] == [
        ("cs-abc234", "received"),
        ("cs-abc234", "rejected"),
    ]
    assert "spk_anna" not in payload
    with pytest.raises(NotFound):
        report(desk, STEWARD, "spk_ben0")
