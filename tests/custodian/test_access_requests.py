"""Access that is asked for: who decides what, how long a request waits, and what break-glass cannot do."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from sandbox.custodian import access_requests as requests
from sandbox.custodian.access import grant_access
from sandbox.custodian.desk import Desk
from sandbox.custodian.people import enter_person
from sandbox.errors import Conflict, NotFound, NotPermitted, Refused, Usage
from tests.custodian.test_people import access, person
from tests.fakes.studio import NOW, STEWARD

ENGINEER, COLLEAGUE, OPERATOR, SECOND = "eng.li", "eng.wu", "b.operator", "a.approver.2"
UNTIL = "2026-12-24T00:00:00Z"


@pytest.fixture
def desk(desk: Desk) -> Desk:
    """With two engineers, an operator, an auditor, a reviewer and a second approver."""
    for name, roles in {
        ENGINEER: ["ml_engineer"],
        COLLEAGUE: ["ml_engineer"],
        OPERATOR: ["operator"],
        "a.auditor": ["auditor"],
        "b.privacy.1": ["privacy_reviewer"],
        SECOND: ["party_a_approver", "ml_engineer"],
    }.items():
        enter_person(desk, STEWARD, person(name, roles=roles))
    return desk


def wanted(**changes: Any) -> dict[str, Any]:
    return {"dataset": "digits", "purposes": ["train"], "until": UNTIL, "reason": "release 2", **changes}


def glass(**changes: Any) -> dict[str, Any]:
    said = {"person": COLLEAGUE, "dataset": "digits", "purposes": ["test"], "for": "PT2H", "reason": "i-3kd9"}
    return {**said, **changes}


def pass_time(desk: Desk, **span: float) -> None:
    desk.clock.now += timedelta(**span)  # type: ignore[attr-defined]


def changed(desk: Desk, entry: dict[str, Any]) -> None:
    """The person's entry says something else; also what the custodian would not enter today."""
    desk.registers.append("people", [{"status": "active", **entry}], STEWARD)


def rows(desk: Desk) -> list[Any]:
    return list(desk.now("access").access.values())


def test_an_engineer_asks_and_the_approver_grants(desk: Desk) -> None:
    asked = requests.ask(desk, ENGINEER, wanted())
    assert re.fullmatch(r"rq-[a-z0-9]{6}", asked["id"]) and asked["status"] == "pending" and rows(desk) == []
    answer = requests.approve(desk, STEWARD, asked["id"])
    (row,) = rows(desk)
    assert (row.id, row.person, row.approved_by, row.request) == (
        answer["access"],
        ENGINEER,
        STEWARD,
        asked["id"],
    )
    assert (row.purposes, row.break_glass, answer["until"]) == (("train",), False, UNTIL)
    kept = desk.now("access-request").requests[asked["id"]]
    assert (kept.status, kept.decided_by, kept.access) == ("approved", STEWARD, row.id)


def test_an_approval_may_be_shorter_and_never_longer_than_asked(desk: Desk) -> None:
    asked = requests.ask(desk, ENGINEER, wanted())["id"]
    with pytest.raises(Usage) as caught:
        requests.approve(desk, STEWARD, asked, "2026-12-24T00:00:01Z")
    assert caught.value.code == "access.longer_than_asked" and rows(desk) == []
    assert requests.approve(desk, STEWARD, asked, "2026-12-01")["until"] == "2026-12-01T00:00:00Z"


def test_a_denied_request_gives_nothing_and_says_why(desk: Desk) -> None:
    asked = requests.ask(desk, ENGINEER, wanted())["id"]
    assert requests.deny(desk, STEWARD, asked, "called off")["why"] == "called off"
    with pytest.raises(Conflict):
        requests.approve(desk, STEWARD, asked)
    assert rows(desk) == []


def test_nobody_decides_a_request_of_their_own(desk: Desk) -> None:
    asked = requests.ask(desk, SECOND, wanted())["id"]
    for decide in (requests.approve, lambda *a: requests.deny(*a, "x")):
        with pytest.raises(NotPermitted) as caught:
            decide(desk, SECOND, asked)
        assert caught.value.code == "access.own_request"
    assert requests.approve(desk, STEWARD, asked)["person"] == SECOND


@pytest.mark.parametrize("who", [ENGINEER, COLLEAGUE, OPERATOR, "a.auditor", "b.privacy.1", "nobody"])
def test_only_party_as_approver_decides(desk: Desk, who: str) -> None:
    asked = requests.ask(desk, ENGINEER, wanted())["id"]
    glassed = requests.ask_break_glass(desk, OPERATOR, glass())["id"]
    for decide in (
        lambda: requests.approve(desk, who, asked),
        lambda: requests.deny(desk, who, asked, "x"),
        lambda: requests.confirm(desk, who, glassed),
    ):
        with pytest.raises(NotPermitted):
            decide()
    assert rows(desk) == []


def test_a_request_is_void_after_seven_days(desk: Desk) -> None:
    asked = requests.ask(desk, ENGINEER, wanted())["id"]
    pass_time(desk, days=7, seconds=-1)
    assert requests.listing(desk, ENGINEER, {})["items"][0]["status"] == "pending"
    pass_time(desk, seconds=1)
    assert requests.listing(desk, ENGINEER, {})["items"][0]["status"] == "expired"
    with pytest.raises(Refused) as caught:
        requests.approve(desk, STEWARD, asked)
    assert caught.value.code == "access.request_expired" and rows(desk) == []


def test_a_crash_between_access_and_decision_grants_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = requests.ask(desk, ENGINEER, wanted())["id"]

    def dies(*_: Any) -> None:
        raise OSError("the power went")

    with monkeypatch.context() as patched:
        patched.setattr(requests, "_decide", dies)
        with pytest.raises(OSError):
            requests.approve(desk, STEWARD, asked)
    (row,) = rows(desk)
    assert requests.approve(desk, STEWARD, asked)["access"] == row.id and rows(desk) == [row]


LIMITS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "access.auditor": ({}, {"roles": ["ml_engineer", "auditor"]}),  # V18
    "access.outlives_nda": ({}, {"nda": {"expires": "2026-12-01"}}),  # V15
    "access.outlives_training": ({}, {"training": {"course": "x", "valid_until": "2026-12-01"}}),  # V16
    "access.purpose_beyond": ({"purposes": ["train", "evaluate"]}, {}),  # V17
    "access.dataset_unknown": ({"dataset": "voices"}, {}),
}


@pytest.mark.parametrize(("code", "case"), LIMITS.items(), ids=LIMITS)
def test_what_could_never_be_granted_is_refused_when_it_is_asked_for(
    desk: Desk, code: str, case: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    asked, changes = case
    changed(desk, person(ENGINEER, **changes))
    with pytest.raises(Refused) as caught:
        requests.ask(desk, ENGINEER, wanted(**asked))
    assert [reason.code for reason in caught.value.reasons] == [code]
    assert desk.now("access-request").requests == {}


@pytest.mark.parametrize("code", ["access.auditor", "access.outlives_nda", "access.outlives_training"])
def test_what_changed_since_is_refused_when_it_is_decided(desk: Desk, code: str) -> None:
    asked = requests.ask(desk, ENGINEER, wanted())["id"]
    changed(desk, person(ENGINEER, **LIMITS[code][1]))
    with pytest.raises(Refused) as caught:
        requests.approve(desk, STEWARD, asked)
    assert [reason.code for reason in caught.value.reasons] == [code] and rows(desk) == []


def test_longer_than_the_agreement_allows_is_refused(desk: Desk) -> None:
    enter_person(
        desk, STEWARD,
        person(ENGINEER, nda={"expires": "2029-01-01"}, training={"course": "x", "valid_until": "2029-01-01"}),
    )  # fmt: skip
    with pytest.raises(Refused) as caught:
        requests.ask(desk, ENGINEER, wanted(until="2027-11-25T00:00:00Z"))
    assert [reason.code for reason in caught.value.reasons] == ["access.too_long"]


WRONG = {
    "an end that is over": wanted(until="2026-11-24T12:00:00Z"),
    "no reason": wanted(reason=""),
    "no purpose": wanted(purposes=[]),
    "a purpose of ours": wanted(purposes=["sing"]),
    "no time": wanted(until="soon"),
    "the end of the calendar": wanted(until="9999-12-31T23:59:59-08:00"),
    "a reason that moves the cursor": wanted(reason="ok\x1b[2J"),
    "a reason that turns the writing round": wanted(reason="ok \u202e ko"),
    "a reason of two lines": wanted(reason="ok\nrq-2345 approved"),
    "a long story": wanted(reason="x" * 301),
    "a dataset that is none": wanted(dataset="../x"),
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_a_request_that_says_nonsense_is_not_entered(desk: Desk, body: dict[str, Any]) -> None:
    with pytest.raises(Usage):
        requests.ask(desk, ENGINEER, body)
    assert desk.now("access-request").requests == {}


def test_one_login_cannot_fill_the_register(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "PENDING_MOST", 3)
    for _ in range(3):
        requests.ask(desk, ENGINEER, wanted())
    with pytest.raises(Refused) as caught:
        requests.ask(desk, ENGINEER, wanted())
    assert caught.value.code == "access.too_many_requests"
    assert requests.ask(desk, COLLEAGUE, wanted())


def test_engineers_see_their_own_and_reviewers_all(desk: Desk) -> None:
    requests.ask(desk, ENGINEER, wanted())
    requests.ask(desk, COLLEAGUE, wanted())
    assert [one["person"] for one in requests.listing(desk, ENGINEER, {})["items"]] == [ENGINEER]
    assert len(requests.listing(desk, "a.auditor", {})["items"]) == 2
    assert requests.listing(desk, STEWARD, {"status": "approved"})["items"] == []


def test_who_asks_directly_cannot_claim_a_request_or_an_emergency(desk: Desk) -> None:
    made = grant_access(desk, STEWARD, {**access(), "request": "rq-2345", "break_glass": True})
    row = desk.now("access").access[made["id"]]
    assert (row.request, row.break_glass) == (None, False)


def test_nobody_grants_themselves_access(desk: Desk) -> None:
    with pytest.raises(Refused) as caught:
        grant_access(desk, SECOND, access(person=SECOND))
    assert [reason.code for reason in caught.value.reasons] == ["access.self_approved"]


def test_break_glass_takes_two_people_besides_the_one_who_gets_it(desk: Desk) -> None:
    asked = requests.ask_break_glass(desk, OPERATOR, glass())
    assert rows(desk) == []
    pass_time(desk, minutes=30)
    answer = requests.confirm(desk, STEWARD, asked["id"])
    (row,) = rows(desk)
    assert (row.person, row.break_glass, row.approved_by) == (COLLEAGUE, True, STEWARD)
    assert row.until == NOW + timedelta(minutes=150) and answer["until"] == "2026-11-24T14:30:00Z"
    with pytest.raises(Conflict):
        requests.confirm(desk, STEWARD, asked["id"])


def _for_oneself(desk: Desk) -> None:
    requests.ask_break_glass(desk, SECOND, glass(person=SECOND))


def _confirmed_by_who_asked(desk: Desk) -> None:
    requests.confirm(desk, SECOND, requests.ask_break_glass(desk, SECOND, glass())["id"])


def _confirmed_by_who_gets_it(desk: Desk) -> None:
    requests.confirm(desk, SECOND, requests.ask_break_glass(desk, OPERATOR, glass(person=SECOND))["id"])


def _confirmed_by_an_operator(desk: Desk) -> None:
    requests.confirm(desk, OPERATOR, requests.ask_break_glass(desk, STEWARD, glass())["id"])


def _asked_by_an_engineer(desk: Desk) -> None:
    requests.ask_break_glass(desk, ENGINEER, glass())


def _asked_by_an_auditor(desk: Desk) -> None:
    requests.ask_break_glass(desk, "a.auditor", glass())


SINGLE = [
    _for_oneself, _confirmed_by_who_asked, _confirmed_by_who_gets_it, _confirmed_by_an_operator,
    _asked_by_an_engineer, _asked_by_an_auditor,
]  # fmt: skip


@pytest.mark.parametrize("attempt", SINGLE, ids=[attempt.__name__ for attempt in SINGLE])
def test_a_single_person_opens_nothing(desk: Desk, attempt: Callable[[Desk], None]) -> None:
    with pytest.raises(NotPermitted):
        attempt(desk)
    assert rows(desk) == []


@pytest.mark.parametrize("lasts", ["PT4H1S", "P1D", "PT0S", "P1M", "P" + "9" * 400 + "Y", "", "4h", None])
def test_break_glass_lasts_four_hours_at_most(desk: Desk, lasts: str | None) -> None:
    with pytest.raises(Usage):
        requests.ask_break_glass(desk, OPERATOR, glass(**{"for": lasts}))


def test_break_glass_that_nobody_confirms_is_void_within_the_hour(desk: Desk) -> None:
    asked = requests.ask_break_glass(desk, OPERATOR, glass(**{"for": "PT4H"}))["id"]
    pass_time(desk, hours=1)
    with pytest.raises(Refused) as caught:
        requests.confirm(desk, STEWARD, asked)
    assert caught.value.code == "access.request_expired" and rows(desk) == []


@pytest.mark.parametrize(("code", "changes"), [
    ("access.auditor", {"roles": ["ml_engineer", "auditor"]}),
    ("access.outlives_nda", {"nda": {"expires": "2026-11-24T13:00:00Z"}}),
    ("access.outlives_training", {"training": {"course": "x", "valid_until": "2026-11-24T13:00:00Z"}}),
])  # fmt: skip
def test_break_glass_is_no_exception_to_what_limits_every_access(
    desk: Desk, code: str, changes: dict[str, Any]
) -> None:
    asked = requests.ask_break_glass(desk, OPERATOR, glass())["id"]
    changed(desk, person(COLLEAGUE, **changes))
    with pytest.raises(Refused) as caught:
        requests.confirm(desk, STEWARD, asked)
    assert code in [reason.code for reason in caught.value.reasons] and rows(desk) == []
    with pytest.raises(Refused):
        requests.ask_break_glass(desk, OPERATOR, glass(purposes=["evaluate"]))


def test_a_request_of_one_kind_is_not_decided_as_the_other(desk: Desk) -> None:
    asked = requests.ask(desk, ENGINEER, wanted())["id"]
    glassed = requests.ask_break_glass(desk, OPERATOR, glass())["id"]
    for decide in (
        lambda: requests.confirm(desk, STEWARD, asked),
        lambda: requests.approve(desk, STEWARD, glassed),
    ):
        with pytest.raises(Usage):
            decide()
    with pytest.raises(NotFound):
        requests.approve(desk, STEWARD, "rq-zzzz")
    assert requests.deny(desk, STEWARD, glassed, "no")["status"] == "denied"
