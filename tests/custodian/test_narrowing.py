"""A later version at the custodian: Party A alone may narrow the active one, at once, and nothing else (V24)."""

from __future__ import annotations

import pytest

from sandbox.custodian.agreements import load_agreement, standing
from sandbox.custodian.desk import Desk
from sandbox.custodian.status import activate, set_status
from sandbox.errors import EvidenceMismatch, Refused, StatementError
from sandbox.statements import sha256
from tests.fakes.agreement import PARTY_A, agreement_yaml, signed
from tests.fakes.studio import STEWARD, activation

NAME = "dsa-2026-0001"
LESS = (b"purposes: [train, test]", b"purposes: [train]")
MORE = (b"max_epsilon: 8.0", b"max_epsilon: 9.0")


def after(before: bytes, *swaps: tuple[bytes, bytes], version: int = 2) -> bytes:
    data = agreement_yaml(version=version, supersedes=sha256(before))
    for old, new in swaps:
        assert old in data
        data = data.replace(old, new, 1)
    return data


FIRST = agreement_yaml()


def alone(data: bytes) -> dict[str, object]:
    return activation(data, signed(data, PARTY_A))


def test_a_narrower_version_signed_by_party_a_alone_is_active_at_once(desk: Desk) -> None:
    data = after(FIRST, LESS)
    answer = activate(desk, STEWARD, alone(data))
    assert (answer["version"], answer["status"], answer["signed_by"]) == (2, "active", "a")
    entry = standing(desk, NAME)
    assert entry is not None and entry.digest == sha256(data)
    assert load_agreement(desk, entry).terms.datasets[0].purposes == ("train",)


@pytest.mark.parametrize(
    "swaps", [(MORE,), (LESS, MORE), ()], ids=["widens", "one widens", "changes nothing"]
)
def test_anything_else_signed_by_party_a_alone_is_refused(
    desk: Desk, swaps: tuple[tuple[bytes, bytes], ...]
) -> None:
    data = after(FIRST, *swaps)
    with pytest.raises(Refused) as caught:
        activate(desk, STEWARD, alone(data))
    assert caught.value.code in ("agreement.widens", "agreement.narrows_nothing")
    entry = standing(desk, NAME)
    assert entry is not None and entry.version == 1
    assert activate(desk, STEWARD, activation(data))["signed_by"] == "both"


def test_narrowings_may_follow_each_other_and_both_parties_may_widen_again(desk: Desk) -> None:
    second = after(FIRST, LESS)
    third = after(second, LESS, (b"max_epsilon: 8.0", b"max_epsilon: 2.0"), version=3)
    activate(desk, STEWARD, alone(second))
    activate(desk, STEWARD, alone(third))
    back = after(third, version=4)
    with pytest.raises(Refused):
        activate(desk, STEWARD, alone(back))
    assert activate(desk, STEWARD, activation(back))["version"] == 4


def test_only_the_active_version_can_be_narrowed(desk: Desk) -> None:
    activate(desk, STEWARD, alone(after(FIRST, LESS)))
    other = after(FIRST, LESS, (b"longest: P1Y", b"longest: P1M"))
    with pytest.raises(Refused) as caught:
        activate(desk, STEWARD, alone(other))
    assert caught.value.code == "agreement.version"


def test_a_narrowing_does_not_change_the_pinned_keys(desk: Desk) -> None:
    data = after(FIRST, LESS)
    body = alone(data)
    with pytest.raises((Refused, StatementError)):
        activate(desk, STEWARD, {**body, "party_b_key": body["party_a_key"]})


def test_a_first_version_takes_both(desk: Desk) -> None:
    data = agreement_yaml(dataset="voices").replace(b"dsa-2026-0001", b"dsa-2026-0002")
    with pytest.raises(StatementError):
        activate(desk, STEWARD, alone(data))


def test_a_narrowing_whose_ground_is_lost_is_not_believed(desk: Desk) -> None:
    activate(desk, STEWARD, alone(after(FIRST, LESS)))
    entry = standing(desk, NAME)
    assert entry is not None
    (desk.agreements / f"{sha256(FIRST)}.dsse.json").write_bytes(signed(FIRST, PARTY_A))
    with pytest.raises(StatementError):
        load_agreement(desk, entry)
    (desk.agreements / f"{sha256(FIRST)}.yaml").unlink()
    with pytest.raises(EvidenceMismatch):
        load_agreement(desk, entry)


def test_a_suspended_agreement_can_be_narrowed_and_is_active_then(desk: Desk) -> None:
    set_status(desk, STEWARD, NAME, "suspended")
    assert activate(desk, STEWARD, alone(after(FIRST, LESS)))["status"] == "active"
