"""An agreement that has ended stays ended, whatever file is shown again."""

from __future__ import annotations

import pytest

from sandbox.custodian.agreements import standing
from sandbox.custodian.status import activate, set_status
from sandbox.errors import Refused
from tests.custodian.test_narrowing import FIRST, LESS, after
from tests.fakes.studio import STEWARD, activation

AGREEMENT = "dsa-2026-0001"


@pytest.mark.parametrize("terms", [FIRST, after(FIRST, LESS)], ids=["the same file", "a following version"])
def test_an_ended_agreement_is_not_revived_by_a_file(desk, terms) -> None:
    set_status(desk, STEWARD, AGREEMENT, "terminated")
    with pytest.raises(Refused) as caught:
        activate(desk, STEWARD, activation(terms))
    assert caught.value.code == "agreement.ended"
    assert standing(desk, AGREEMENT).status == "terminated"
