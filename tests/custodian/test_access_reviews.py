"""The quarterly review: what stands, kept or removed; what nobody looked at blocks what comes after."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sandbox.custodian import access_requests as requests
from sandbox.custodian.access import grant_access, revoke_access
from sandbox.custodian.access_reviews import review, standing
from sandbox.custodian.desk import Desk
from sandbox.custodian.people import enter_person
from sandbox.errors import NotFound, NotPermitted, Refused, Usage
from tests.custodian.test_people import access, person
from tests.fakes.studio import STEWARD

LONG = {"nda": {"expires": "2029-01-01"}, "training": {"course": "x", "valid_until": "2029-01-01"}}
UNTIL = "2027-11-01T00:00:00Z"


@pytest.fixture
def given(desk: Desk) -> str:
    """One access of a year; an engineer and an approver more."""
    for name, roles in (
        ("eng.li", ["ml_engineer"]),
        ("eng.wu", ["ml_engineer"]),
        ("a.approver.2", ["party_a_approver"]),
    ):
        enter_person(desk, STEWARD, person(name, roles=roles, **LONG))
    return str(grant_access(desk, STEWARD, access(until=UNTIL))["id"])


def pass_time(desk: Desk, **span: float) -> None:
    desk.clock.now += timedelta(**span)  # type: ignore[attr-defined]


def asked(desk: Desk) -> list[str]:
    """The reasons why somebody else gets no access to the same dataset now."""
    try:
        grant_access(desk, STEWARD, access(person="eng.wu", until="2027-06-01"))
    except Refused as fault:
        return [reason.code for reason in fault.reasons]
    return []


def test_what_stands_says_when_it_is_due(desk: Desk, given: str) -> None:
    (row,) = standing(desk, STEWARD, {})["items"]
    assert (row["id"], row["granted"], row["reviewed"], row["due"], row["overdue"]) == (
        given, "2026-11-24T12:00:00Z", "", "2027-02-24T12:00:00Z", False,
    )  # fmt: skip
    revoke_access(desk, STEWARD, given)
    assert standing(desk, STEWARD, {})["items"] == []


def test_a_review_that_is_overdue_blocks_new_grants_until_it_is_done(desk: Desk, given: str) -> None:
    pass_time(desk, days=92, seconds=-1)
    assert asked(desk) == []
    pass_time(desk, seconds=1)
    assert asked(desk) == ["access.review_overdue"]
    assert [row["overdue"] for row in standing(desk, STEWARD, {})["items"]] == [True, False]
    review(desk, STEWARD, {"access": given, "verdict": "kept"})
    assert asked(desk) == [] and standing(desk, STEWARD, {})["items"][-1]["overdue"] is False


def test_a_request_is_blocked_as_well(desk: Desk, given: str) -> None:
    pass_time(desk, days=93)
    body = {"dataset": "digits", "purposes": ["train"], "until": UNTIL, "reason": "x"}
    with pytest.raises(Refused) as caught:
        requests.ask(desk, "eng.wu", body)
    assert [reason.code for reason in caught.value.reasons] == ["access.review_overdue"]


def test_removing_is_one_word_and_revokes(desk: Desk, given: str) -> None:
    pass_time(desk, days=93)
    answer = review(desk, STEWARD, {"access": given, "verdict": "removed"})
    assert (answer["access"], answer["person"], answer["reviewer"]) == (given, "eng.li", STEWARD)
    assert desk.now("access").access[given].status == "revoked" and asked(desk) == []
    assert review(desk, STEWARD, {"access": given, "verdict": "removed"})["verdict"] == "removed"
    with pytest.raises(NotFound):
        review(desk, STEWARD, {"access": given, "verdict": "kept"})


def test_the_next_quarter_begins_with_the_review(desk: Desk, given: str) -> None:
    pass_time(desk, days=60)
    review(desk, STEWARD, {"access": given, "verdict": "kept"})
    pass_time(desk, days=91)
    assert standing(desk, STEWARD, {})["items"][0]["overdue"] is False
    pass_time(desk, days=1)
    assert standing(desk, STEWARD, {})["items"][0]["overdue"] is True


@pytest.mark.parametrize("who", ["eng.li", "nobody"])
def test_only_the_approver_reviews(desk: Desk, given: str, who: str) -> None:
    with pytest.raises(NotPermitted):
        review(desk, who, {"access": given, "verdict": "kept"})
    with pytest.raises(NotPermitted):
        standing(desk, who, {})


def test_nobody_reviews_their_own_access(desk: Desk, given: str) -> None:
    enter_person(desk, STEWARD, person("eng.li", roles=["ml_engineer", "party_a_approver"], **LONG))
    for verdict in ("kept", "removed"):
        with pytest.raises(NotPermitted) as caught:
            review(desk, "eng.li", {"access": given, "verdict": verdict})
        assert caught.value.code == "access.own_review"
    assert review(desk, "a.approver.2", {"access": given, "verdict": "kept"})


@pytest.mark.parametrize(
    "body",
    [{}, {"access": "ac-2345"}, {"access": "x", "verdict": "kept"}, {"access": "ac-2345", "verdict": "?"}],
)
def test_a_review_that_says_nothing_is_not_entered(desk: Desk, given: str, body: dict[str, str]) -> None:
    with pytest.raises(Usage):
        review(desk, STEWARD, body)


def test_an_unknown_access_cannot_be_reviewed(desk: Desk, given: str) -> None:
    with pytest.raises(NotFound):
        review(desk, STEWARD, {"access": "ac-zzzz", "verdict": "kept"})
