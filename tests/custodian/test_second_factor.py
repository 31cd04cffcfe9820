"""Enrolling a second factor is the person's own doing; taking it away is somebody else's."""

from __future__ import annotations

import pytest

from sandbox.custodian.desk import Desk
from sandbox.custodian.people import enter_person
from sandbox.custodian.second_factor import KEPT_S, TRIES, Enrolments, reset, show
from sandbox.errors import Conflict, NotFound, NotPermitted
from tests.custodian.test_people import person
from tests.fakes.studio import STEWARD as FIRST

CODE, WRONG = "123456", "000000"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def enrolments(clock: Clock) -> Enrolments:
    return Enrolments(clock)


@pytest.fixture
def li(desk: Desk) -> str:
    enter_person(desk, FIRST, person())
    return "eng.li"


def test_a_first_code_makes_it_count(desk: Desk, enrolments: Enrolments, li: str) -> None:
    assert enrolments.begin(desk, li)["address"].startswith("otpauth://totp/voice-sandbox:eng.li?")
    assert show(desk, li)["second_factor"] == "none"
    assert (
        enrolments.confirm(desk, li, CODE)["second_factor"] == show(desk, li)["second_factor"] == "enrolled"
    )


def test_nothing_is_confirmed_that_was_not_begun_or_is_another_persons(
    desk: Desk, enrolments: Enrolments, li: str
) -> None:
    enrolments.begin(desk, li)
    with pytest.raises(NotFound):
        enrolments.confirm(desk, FIRST, CODE)
    enrolments.confirm(desk, li, CODE)
    with pytest.raises(NotFound):
        enrolments.confirm(desk, li, CODE)


def test_a_wrong_code_may_be_mended_a_few_times(desk: Desk, enrolments: Enrolments, li: str) -> None:
    enrolments.begin(desk, li)
    for _ in range(TRIES):
        with pytest.raises(NotPermitted):
            enrolments.confirm(desk, li, WRONG)
    with pytest.raises(NotFound):
        enrolments.confirm(desk, li, CODE)
    assert show(desk, li)["second_factor"] == "none"


def test_a_secret_that_was_shown_waits_ten_minutes(
    desk: Desk, enrolments: Enrolments, clock: Clock, li: str
) -> None:
    enrolments.begin(desk, li)
    clock.now = KEPT_S + 1
    with pytest.raises(NotFound):
        enrolments.confirm(desk, li, CODE)


def test_who_has_one_enrols_no_other(desk: Desk, enrolments: Enrolments, li: str) -> None:
    enrolments.begin(desk, li)
    enrolments.confirm(desk, li, CODE)
    with pytest.raises(Conflict):
        enrolments.begin(desk, li)


def test_a_stranger_and_whoever_left_enrols_nothing(desk: Desk, enrolments: Enrolments, li: str) -> None:
    enter_person(desk, FIRST, person(status="left"))
    for who in (li, "nobody"):
        with pytest.raises(NotPermitted):
            enrolments.begin(desk, who)


def test_a_lost_one_is_reset_by_an_approver_and_enrolled_anew(
    desk: Desk, enrolments: Enrolments, li: str
) -> None:
    enrolments.begin(desk, li)
    enrolments.confirm(desk, li, CODE)
    assert reset(desk, FIRST, li)["second_factor"] == "none"
    enrolments.begin(desk, li)
    enrolments.confirm(desk, li, CODE)


def test_nobody_resets_their_own(desk: Desk, enrolments: Enrolments, li: str) -> None:
    for who in (FIRST, li):
        enrolments.begin(desk, who)
        enrolments.confirm(desk, who, CODE)
        with pytest.raises(NotPermitted):
            reset(desk, who, who)
        assert show(desk, who)["second_factor"] == "enrolled"
    with pytest.raises(NotPermitted):
        reset(desk, li, FIRST)


def test_nobodys_is_not_reset(desk: Desk) -> None:
    with pytest.raises(NotFound):
        reset(desk, FIRST, "nobody")
