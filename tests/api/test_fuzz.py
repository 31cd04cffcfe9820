"""Schemathesis over the whole API of both services, by several identities: no 5xx, nothing that is not described.

Bounded and always the same here; ``make fuzz`` asks for more, and anew each time.
"""

from __future__ import annotations

import pytest

from tests.api.fuzzing import fuzz
from tests.api.services import Service

EXAMPLES = 8


@pytest.mark.parametrize("name", ["gate", "custodian"])
def test_whatever_is_asked_is_answered_as_described(name, request):
    service: Service = request.getfixturevalue(f"{name}_api")
    report = fuzz(service, EXAMPLES, seed=1)
    assert report.failures == {}
    assert report.to_json()["server_errors"] == 0
    assert report.cases > 8 * len(service.routes), "every operation was asked"
    assert {200, 400, 401, 403, 404} <= set(report.statuses)
